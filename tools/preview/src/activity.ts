// For automated tests: `data-state` of the body is whether the page is still loading, `data-failures` lists its errors.
let running = 0;

// Harmless: a layout took two frames.
const HARMLESS = 'ResizeObserver loop';

export function reportFailures(): void {
  const report = (failure: unknown) => {
    const text = String(failure);
    if (!text.includes(HARMLESS)) {
      document.body.dataset.failures = [document.body.dataset.failures, text].filter(Boolean).join('\n');
    }
  };
  window.addEventListener('error', ({ error, message }) => report(error ?? message));
  window.addEventListener('unhandledrejection', ({ reason }) => report(reason));
}

export async function whileLoading<T>(work: Promise<T>): Promise<T> {
  running += 1;
  document.body.dataset.state = 'loading';
  try {
    return await work;
  } finally {
    // Rendering may load more data, and a canvas is drawn one frame later.
    setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(end)), 0);
  }
}

function end(): void {
  running -= 1;
  if (running === 0) {
    document.body.dataset.state = 'ready';
  }
}
