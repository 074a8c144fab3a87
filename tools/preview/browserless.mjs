// Grafana's libraries access the browser when they are loaded. In Node.js, they get one in which nothing happens.
const handler = { get: (_, key) => (key === Symbol.toPrimitive ? () => '' : nothing) };
const nothing = new Proxy(() => nothing, handler);

Object.defineProperty(globalThis, 'navigator', {
  value: { userAgent: 'node', language: 'en-US', languages: ['en-US'] },
  configurable: true,
});
Object.assign(globalThis, {
  window: globalThis,
  document: new Proxy({}, handler),
  history: nothing,
  addEventListener: () => undefined,
});
