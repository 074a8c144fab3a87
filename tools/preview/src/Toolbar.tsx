import { css } from '@emotion/css';
import { GrafanaTheme2, InterpolateFunction, SelectableValue, TimeRange, dateTime } from '@grafana/data';
import {
  Dropdown,
  InlineLabel,
  Menu,
  MultiSelect,
  RefreshPicker,
  Select,
  TimeRangePicker,
  ToolbarButton,
  useStyles2,
} from '@grafana/ui';
import { ALL, Value } from './interpolate';
import type { Dashboard, Link, Variable } from './model';
import type { Go, Place } from './place';

const REFRESH = ['5s', '10s', '30s', '1m'];
const HIDE_LABEL = 1;
const HIDE_VARIABLE = 2;

interface ToolbarProperties {
  dashboards: Dashboard[];
  dashboard: Dashboard;
  place: Place;
  go: Go;
  values: Value[];
  range: TimeRange;
  timeZone: string;
  refresh: string;
  replace: InterpolateFunction;
  onRefresh: () => void;
}

export function Toolbar(properties: ToolbarProperties) {
  const { dashboards, dashboard, place, go, values, range, timeZone, refresh, replace, onRefresh } = properties;
  const styles = useStyles2(stylesOf);
  const goTo = (from: number, to: number) => go({ from: String(Math.round(from)), to: String(Math.round(to)) });
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  return (
    <header className={styles.header}>
      <p className={styles.note}>
        This is a preview, drawn with Grafana&apos;s own UI library and without Grafana. The real Grafana is deployed
        with monitoring/compose or monitoring/k8s, where these same files are provisioned.
      </p>
      <div className={styles.line}>
        <nav className={styles.dashboards} aria-label="Dashboards">
          {dashboards.map((each) => (
            <a
              key={each.uid}
              href={replace(`/d/${each.uid}?\${__url_time_range}&\${__all_variables}`)}
              aria-current={each === dashboard ? 'page' : undefined}
              className={each === dashboard ? styles.current : styles.link}
            >
              {each.title}
            </a>
          ))}
        </nav>
        <div className={styles.right}>
          <TimeRangePicker
            value={range}
            timeZone={timeZone}
            onChange={({ raw }) => go({ from: urlTime(raw.from), to: urlTime(raw.to) })}
            onChangeTimeZone={() => undefined}
            onMoveBackward={() => goTo(from - (to - from) / 2, to - (to - from) / 2)}
            onMoveForward={() => goTo(from + (to - from) / 2, to + (to - from) / 2)}
            onZoom={() => goTo(from - (to - from) / 2, to + (to - from) / 2)}
            isOnCanvas
          />
          <RefreshPicker
            value={refresh}
            intervals={REFRESH}
            onIntervalChanged={(chosen) => go({ refresh: chosen })}
            onRefresh={onRefresh}
            isOnCanvas
          />
          <ToolbarButton
            icon="adjust-circle"
            variant="canvas"
            tooltip={`Change to the ${place.theme === 'dark' ? 'light' : 'dark'} theme`}
            onClick={() => go({ theme: place.theme === 'dark' ? 'light' : 'dark' })}
          />
        </div>
      </div>
      <div className={styles.variables}>
        {(dashboard.templating?.list ?? [])
          .filter((variable) => variable.hide !== HIDE_VARIABLE)
          .map((variable) => (
            <Picker
              key={variable.name}
              variable={variable}
              value={values.find(({ name }) => name === variable.name)}
              onChange={(chosen) => go({ variables: { ...place.variables, [variable.name]: chosen } })}
            />
          ))}
        <nav className={styles.right} aria-label="Links">
          {(dashboard.links ?? []).map((link) => (
            <Links key={link.title} link={link} targets={linked(link, dashboards, dashboard)} replace={replace} />
          ))}
        </nav>
      </div>
    </header>
  );
}

function urlTime(time: TimeRange['raw']['from']): string {
  return typeof time === 'string' ? time : String(dateTime(time).valueOf());
}

function linked(link: Link, dashboards: Dashboard[], current: Dashboard): Array<{ title: string; url: string }> {
  const parameters = [link.keepTime && '${__url_time_range}', link.includeVars && '${__all_variables}'].filter(Boolean);
  const suffix = parameters.length > 0 ? `?${parameters.join('&')}` : '';
  if (link.type !== 'dashboards') {
    return [{ title: link.title, url: `${link.url ?? ''}${suffix}` }];
  }
  return dashboards
    .filter((each) => each !== current && (link.tags ?? []).every((tag) => each.tags?.includes(tag)))
    .map((each) => ({ title: each.title, url: `/d/${each.uid}${suffix}` }));
}

interface LinksProperties {
  link: Link;
  targets: ReturnType<typeof linked>;
  replace: InterpolateFunction;
}

function Links({ link, targets, replace }: LinksProperties) {
  const styles = useStyles2(stylesOf);
  if (link.asDropdown) {
    const menu = (
      <Menu>
        {targets.map(({ title, url }) => (
          <Menu.Item key={title} label={title} url={replace(url)} />
        ))}
      </Menu>
    );
    return (
      <Dropdown overlay={menu} placement="bottom-end">
        <ToolbarButton icon="bars" variant="canvas" isOpen={false}>
          {link.title}
        </ToolbarButton>
      </Dropdown>
    );
  }
  return targets.map(({ title, url }) => (
    <a key={title} href={replace(url)} className={styles.link}>
      {title}
    </a>
  ));
}

interface PickerProperties {
  variable: Variable;
  value: Value | undefined;
  onChange: (chosen: string[]) => void;
}

function Picker({ variable, value, onChange }: PickerProperties) {
  const styles = useStyles2(stylesOf);
  const options = (value?.options ?? []).map((each) => ({ value: each, label: value?.texts.get(each) || '(none)' }));
  const choices: Array<SelectableValue<string>> = variable.includeAll
    ? [{ value: ALL, label: 'All' }, ...options]
    : options;
  const chosen = value?.chosen ?? [];
  return (
    <label className={styles.variable} data-variable={variable.name}>
      {variable.hide !== HIDE_LABEL && (
        <InlineLabel width="auto" tooltip={variable.description}>
          {variable.label ?? variable.name}
        </InlineLabel>
      )}
      {variable.multi ? (
        <MultiSelect
          width="auto"
          aria-label={variable.label ?? variable.name}
          options={choices}
          value={chosen}
          allowCustomValue
          onChange={(selected) =>
            onChange(
              withoutAll(
                selected.map((each) => each.value ?? ''),
                chosen,
              ),
            )
          }
        />
      ) : (
        <Select
          width="auto"
          aria-label={variable.label ?? variable.name}
          options={choices}
          value={chosen[0]}
          onChange={(selected) => onChange([selected.value ?? ''])}
        />
      )}
    </label>
  );
}

// All and single values exclude each other: the latest selection counts, and no selection means All.
function withoutAll(selected: string[], before: string[]): string[] {
  const wantsAll = selected.includes(ALL) && !before.includes(ALL);
  const some = selected.filter((each) => each !== ALL);
  return wantsAll || some.length === 0 ? [ALL] : some;
}

const stylesOf = (theme: GrafanaTheme2) => {
  const link = {
    padding: theme.spacing(0.5, 1),
    borderRadius: theme.shape.radius.default,
    color: theme.colors.text.secondary,
    '&:hover': { background: theme.colors.action.hover, color: theme.colors.text.primary },
  };
  const line = { display: 'flex', flexWrap: 'wrap', alignItems: 'center', gap: theme.spacing(0.5, 1), minWidth: 0 } as const;
  const phone = theme.breakpoints.down('md');
  return {
    header: css({ display: 'flex', flexDirection: 'column', gap: theme.spacing(1), marginBottom: theme.spacing(1) }),
    note: css({
      ...theme.typography.bodySmall,
      color: theme.colors.text.secondary,
      margin: 0,
      [phone]: { overflow: 'hidden', textOverflow: 'ellipsis', whiteSpace: 'nowrap' },
    }),
    line: css(line),
    dashboards: css({ ...line, [phone]: { flexWrap: 'nowrap', overflowX: 'auto', whiteSpace: 'nowrap' } }),
    variables: css({
      ...line,
      [phone]: { zoom: 0.8 },
    }),
    right: css({ display: 'flex', flexWrap: 'wrap', gap: theme.spacing(0.5, 1), marginLeft: 'auto', minWidth: 0 }),
    link: css(link),
    current: css({
      ...link,
      color: theme.colors.text.primary,
      background: theme.colors.background.secondary,
      fontWeight: 500,
    }),
    variable: css({
      display: 'flex',
      maxWidth: '100%',
      minWidth: 0,
      fontWeight: 'normal',
      marginBottom: 0,
      '> :last-child': { minWidth: 120 },
    }),
  };
};
