import { css } from '@emotion/css';
import { GrafanaTheme2, ThemeContext, TimeRange, createTheme, dateTime, getTimeZone, rangeUtil } from '@grafana/data';
import { Alert, Button, GlobalStyles, PortalContainer, useStyles2 } from '@grafana/ui';
import { ReactNode, useCallback, useEffect, useMemo, useState } from 'react';
import { whileLoading } from './activity';
import { Event, loadEvents } from './annotations';
import { isNarrow, layOut } from './grid';
import { Value, interpolator } from './interpolate';
import type { Dashboard, Panel } from './model';
import { Surroundings, messageOf } from './panelData';
import { PanelView } from './PanelView';
import { usePlace } from './place';
import { Toolbar } from './Toolbar';
import { resolve } from './variables';

const PADDING = 16;

export function App({ dashboards }: { dashboards: Dashboard[] }) {
  const [place, go] = usePlace();
  const theme = useMemo(() => createTheme({ colors: { mode: place.theme } }), [place.theme]);
  const dashboard = place.uid ? dashboards.find(({ uid }) => uid === place.uid) : dashboards[0];
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PortalContainer />
      <Page>
        {dashboard ? (
          <DashboardView key={dashboard.uid} dashboard={dashboard} {...{ dashboards, place, go, theme }} />
        ) : (
          <Alert title={`There is no dashboard ${place.uid ?? ''}`}>
            {dashboards.map(({ uid, title }) => (
              <div key={uid}>
                <a href={`/d/${uid}`}>{title}</a>
              </div>
            ))}
          </Alert>
        )}
      </Page>
    </ThemeContext.Provider>
  );
}

function Page({ children }: { children: ReactNode }) {
  return <main className={useStyles2(stylesOf).page}>{children}</main>;
}

interface DashboardViewProperties {
  dashboards: Dashboard[];
  dashboard: Dashboard;
  place: ReturnType<typeof usePlace>[0];
  go: ReturnType<typeof usePlace>[1];
  theme: GrafanaTheme2;
}

function DashboardView({ dashboards, dashboard, place, go, theme }: DashboardViewProperties) {
  const timeZone = getTimeZone({ timeZone: dashboard.timezone || 'browser' });
  const raw = { from: place.from ?? dashboard.time?.from ?? 'now-1h', to: place.to ?? dashboard.time?.to ?? 'now' };
  const refresh = place.refresh ?? dashboard.refresh ?? '';
  const [tick, setTick] = useState(0);
  const onRefresh = useCallback(() => setTick((before) => before + 1), []);
  const range = useMemo(() => rangeOf(raw.from, raw.to, timeZone), [raw.from, raw.to, timeZone, tick]);
  const [loaded, setLoaded] = useState<{ values: Value[]; range: TimeRange }>();
  const [events, setEvents] = useState<Event[]>([]);
  const [error, setError] = useState<string>();
  const chosen = JSON.stringify(place.variables);

  useEffect(() => {
    let superseded = false;
    const work = async () => {
      try {
        const values = await resolve(dashboard, JSON.parse(chosen), range);
        if (superseded) {
          return;
        }
        setError(undefined);
        setLoaded({ values, range });
        const found = await loadEvents(dashboard, range, interpolator(values, range));
        if (!superseded) {
          setEvents(found);
        }
      } catch (failure) {
        setError(messageOf(failure));
      }
    };
    whileLoading(work());
    return () => {
      superseded = true;
    };
  }, [dashboard, chosen, range]);

  useEffect(() => {
    const interval = rangeUtil.isValidTimeSpan(refresh) ? rangeUtil.intervalToMs(refresh) : 0;
    if (interval === 0) {
      return;
    }
    const timer = setInterval(onRefresh, interval);
    return () => clearInterval(timer);
  }, [refresh, onRefresh]);

  useEffect(() => {
    document.title = `${dashboard.title}: preview`;
  }, [dashboard]);

  const around = useMemo<Surroundings | undefined>(
    () => loaded && { ...loaded, theme, timeZone },
    [loaded, theme, timeZone],
  );
  const replace = useMemo(() => interpolator(loaded?.values ?? [], range), [loaded, range]);
  const onZoom = useCallback(
    (from: number, to: number) => go({ from: String(Math.round(from)), to: String(Math.round(to)) }),
    [go],
  );
  return (
    <>
      <Toolbar
        values={loaded?.values ?? []}
        {...{ dashboards, dashboard, place, go, range, timeZone, refresh, replace, onRefresh }}
      />
      {error !== undefined && <Alert title="Prometheus does not answer as it should">{error}</Alert>}
      {place.viewPanel !== undefined && (
        <Button variant="secondary" icon="arrow-left" onClick={() => go({ viewPanel: undefined })}>
          Back to the dashboard
        </Button>
      )}
      {around && (
        <Panels
          panels={shown(dashboard, place.viewPanel)}
          {...{ around, events, replace, onZoom }}
          single={place.viewPanel !== undefined}
        />
      )}
    </>
  );
}

function rangeOf(from: string, to: string, timeZone: string): TimeRange {
  const time = (text: string) => (/^\d+$/.test(text) ? dateTime(Number(text)) : text);
  return rangeUtil.convertRawToRange({ from: time(from), to: time(to) }, timeZone);
}

function shown(dashboard: Dashboard, viewPanel: number | undefined): Panel[] {
  return viewPanel === undefined ? dashboard.panels : dashboard.panels.filter(({ id }) => id === viewPanel);
}

interface PanelsProperties {
  panels: Panel[];
  around: Surroundings;
  events: Event[];
  replace: ReturnType<typeof interpolator>;
  onZoom: (from: number, to: number) => void;
  single: boolean;
}

function Panels({ panels, around, events, replace, onZoom, single }: PanelsProperties) {
  const styles = useStyles2(stylesOf);
  const { width, narrow } = useWidth();
  const { places, height } = single
    ? { places: panels.map((panel) => ({ panel, left: 0, top: 8, width, height: 640 })), height: 660 }
    : layOut(panels, width, narrow);
  return (
    <div className={styles.grid} style={{ height }}>
      {places.map(({ panel, left, top, width, height }) => (
        <div key={panel.id} style={{ position: 'absolute', left, top }}>
          {panel.type === 'row' ? (
            <h2 className={styles.row} style={{ width, height }}>
              {replace(panel.title ?? '', {}, 'text')}
            </h2>
          ) : (
            <PanelView {...{ panel, around, events, width, height, replace, onZoom }} />
          )}
        </div>
      ))}
    </div>
  );
}

function useWidth(): { width: number; narrow: boolean } {
  const measure = () => {
    const narrow = isNarrow();
    return { width: document.documentElement.clientWidth - 2 * (narrow ? PADDING / 2 : PADDING), narrow };
  };
  const [width, setWidth] = useState(measure);
  useEffect(() => {
    const update = () => setWidth(measure());
    // A scroll bar may have appeared with the first panels, which makes the page narrower.
    const observer = new ResizeObserver(update);
    observer.observe(document.documentElement);
    return () => observer.disconnect();
  }, []);
  return width;
}

const stylesOf = (theme: GrafanaTheme2) => ({
  page: css({
    padding: PADDING,
    minHeight: '100vh',
    background: theme.colors.background.canvas,
    [theme.breakpoints.down('md')]: { padding: PADDING / 2 },
  }),
  grid: css({ position: 'relative' }),
  row: css({
    ...theme.typography.h6,
    display: 'flex',
    alignItems: 'center',
    margin: 0,
    color: theme.colors.text.primary,
  }),
});
