// What Grafana's libraries expect of the page they run in. Has to be imported before anything that draws.
Object.assign(window, {
  __grafana_public_path__: '/public/',
  grafanaBootData: { settings: { featureToggles: {} }, user: { locale: navigator.language } },
});

export {};
