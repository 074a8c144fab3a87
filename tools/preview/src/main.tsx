import './environment';
import '@fontsource/inter/latin-400.css';
import '@fontsource/inter/latin-500.css';
import 'uplot/dist/uPlot.min.css';
import { createRoot } from 'react-dom/client';
import { reportFailures, whileLoading } from './activity';
import { App } from './App';
import type { Dashboard } from './model';
import { fillRegistries } from './registry';

async function start(): Promise<void> {
  reportFailures();
  fillRegistries();
  const answer = await fetch('/dashboards.json');
  if (!answer.ok) {
    throw new Error(await answer.text());
  }
  const dashboards: Dashboard[] = await answer.json();
  // Graphs measure text, so the font must be loaded first.
  await Promise.all(['400 14px Inter', '500 14px Inter'].map((font) => document.fonts.load(font)));
  createRoot(document.getElementById('root')!).render(<App dashboards={dashboards} />);
}

whileLoading(start()).catch((error: unknown) => {
  document.body.textContent = String(error);
  document.body.dataset.state = 'failed';
});
