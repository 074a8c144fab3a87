import { css } from '@emotion/css';
import { GrafanaTheme2, Labels, dateTime } from '@grafana/data';
import { Icon, useStyles2 } from '@grafana/ui';
import type { Alert } from '../prometheus';
import { DATA_SOURCE } from '../variables';
import type { Properties } from './properties';

/** The alerts that match the panel's options, the most recent last. */
export function chosenAlerts({ panel, data }: Pick<Properties, 'panel' | 'data'>): Alert[] {
  const { alertName = '', stateFilter = {}, maxItems = 20, ...options } = panel.options ?? {};
  // As in Grafana: the option is a data source name, in which variables and uids do not work. Prometheus' rules belong
  // to no dashboard.
  if ((options.datasource && options.datasource !== DATA_SOURCE) || options.dashboardAlerts) {
    return [];
  }
  const matchers = matchersOf(data.replace(options.alertInstanceLabelFilter ?? ''));
  return data.alerts
    .filter((each) => each.labels.alertname.toLowerCase().includes(data.replace(alertName).toLowerCase()))
    .filter((each) => (each.state === 'firing' ? stateFilter.firing !== false : stateFilter.pending !== false))
    .filter((each) => matchers.every((matches) => matches(each.labels)))
    .slice(0, maxItems);
}

/** The matchers of `{label="value", ...}`. */
function matchersOf(filter: string): Array<(labels: Labels) => boolean> {
  return [...filter.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"?([^",}]*)"?/g)].map(([, label, operator, value]) => (labels) => {
    const found = labels[label] ?? '';
    const equal = operator.endsWith('~') ? new RegExp(`^(?:${value})$`).test(found) : found === value;
    return operator.startsWith('!') ? !equal : equal;
  });
}

export function AlertList(properties: Properties) {
  const styles = useStyles2(stylesOf);
  const { width, height } = properties;
  return (
    <ul className={styles.list} style={{ width, height }}>
      {[...byName(chosenAlerts(properties))].map(([name, alerts]) => {
        const firing = alerts.some((each) => each.state === 'firing');
        return (
          <li key={name} className={styles.item}>
            <Icon
              name={firing ? 'exclamation-circle' : 'clock-nine'}
              className={firing ? styles.firing : styles.pending}
            />
            <div>
              <div>{name}</div>
              <div className={styles.state}>
                <span className={firing ? styles.firing : styles.pending}>{firing ? 'Firing' : 'Pending'}</span>
                {` since ${dateTime(alerts[0].activeAt).fromNow(true)}, ${alerts.length} instance${alerts.length > 1 ? 's' : ''}`}
              </div>
              {alerts.map((alert, index) => (
                <div key={index} className={styles.labels}>
                  {Object.entries(alert.labels)
                    .filter(([label]) => label !== 'alertname')
                    .map(([label, value]) => `${label}=${value}`)
                    .join(' ')}
                </div>
              ))}
            </div>
          </li>
        );
      })}
    </ul>
  );
}

function byName(alerts: Alert[]): Map<string, Alert[]> {
  const groups = new Map<string, Alert[]>();
  for (const alert of alerts) {
    groups.set(alert.labels.alertname, [...(groups.get(alert.labels.alertname) ?? []), alert]);
  }
  return groups;
}

const stylesOf = (theme: GrafanaTheme2) => ({
  list: css({ overflow: 'auto', listStyle: 'none' }),
  item: css({
    display: 'flex',
    gap: theme.spacing(1),
    padding: theme.spacing(1),
    marginBottom: theme.spacing(0.5),
    background: theme.colors.background.secondary,
    borderRadius: theme.shape.radius.default,
    overflowWrap: 'anywhere',
  }),
  state: css({ ...theme.typography.bodySmall, color: theme.colors.text.secondary }),
  labels: css({
    ...theme.typography.bodySmall,
    color: theme.colors.text.secondary,
    fontFamily: theme.typography.fontFamilyMonospace,
  }),
  firing: css({ color: theme.colors.error.text }),
  pending: css({ color: theme.colors.warning.text }),
});
