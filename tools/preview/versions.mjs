// The packages of the oldest and the newest supported version of Grafana, and of the one whose schema the files have.
export const VERSIONS = {
  10.4: { data: 'grafana-data-10', schema: 'grafana-schema-10' },
  11.6: { data: '@grafana/data', schema: '@grafana/schema' },
  12.4: { data: 'grafana-data-12', schema: 'grafana-schema-12' },
};
