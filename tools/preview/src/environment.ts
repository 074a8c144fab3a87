// The environment that Grafana's libraries expect. Must be imported before any component.
Object.assign(window, {
  __grafana_public_path__: '/public/',
  grafanaBootData: { settings: { featureToggles: {} }, user: { locale: navigator.language } },
});

export {};
