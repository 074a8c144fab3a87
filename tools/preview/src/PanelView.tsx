import { css } from '@emotion/css';
import {
  DashboardCursorSync,
  EventBusSrv,
  GrafanaTheme2,
  InterpolateFunction,
  LoadingState,
  renderMarkdown,
} from '@grafana/data';
import {
  Dropdown,
  ErrorBoundaryAlert,
  Menu,
  PanelChrome,
  PanelContext,
  PanelContextProvider,
  ToolbarButton,
  useStyles2,
} from '@grafana/ui';
import { useEffect, useMemo, useRef, useState } from 'react';
import { whileLoading } from './activity';
import type { Event } from './annotations';
import type { Panel } from './model';
import { PanelData, State, Surroundings, load, stateOf } from './panelData';
import { SAY_SO_THEMSELVES, VISUALIZATIONS } from './visualizations';
import { chosenAlerts } from './visualizations/AlertList';
import type { Properties } from './visualizations/properties';

const CONTEXT: PanelContext = {
  eventsScope: 'preview',
  eventBus: new EventBusSrv(),
  sync: () => DashboardCursorSync.Off,
};

interface PanelViewProperties {
  panel: Panel;
  around: Surroundings;
  events: Event[];
  width: number;
  height: number;
  replace: InterpolateFunction;
  onZoom: (from: number, to: number) => void;
}

export function PanelView({ panel, around, events, width, height, replace, onZoom }: PanelViewProperties) {
  const [data, setData] = useState<PanelData>();
  const [loading, setLoading] = useState(true);
  const latestWidth = useRef(width);
  latestWidth.current = width;

  useEffect(() => {
    let superseded = false;
    setLoading(true);
    whileLoading(
      load(panel, around, latestWidth.current).then((loaded) => {
        if (!superseded) {
          setData(loaded);
          setLoading(false);
        }
      }),
    );
    return () => {
      superseded = true;
    };
  }, [panel, around]);

  const title = replace(panel.title ?? '', {}, 'text');
  const state = data && shownState(panel, data);
  return (
    <section
      style={{ width, height }}
      data-panel-id={panel.id}
      data-panel-type={panel.type}
      data-panel-title={title}
      data-state={state ?? 'loading'}
      data-error={state === 'error' ? (data?.error ?? unknown(panel)) : undefined}
    >
      <PanelChrome
        title={title}
        description={panel.description && (() => renderMarkdown(replace(panel.description ?? '', {}, 'text')))}
        titleItems={<Links panel={panel} replace={replace} />}
        displayMode={panel.transparent ? 'transparent' : 'default'}
        loadingState={loading ? LoadingState.Loading : LoadingState.Done}
        statusMessage={data?.error}
        width={width}
        height={height}
      >
        {(innerWidth, innerHeight) =>
          data && state ? (
            <ErrorBoundaryAlert dependencies={[data]}>
              <PanelContextProvider value={CONTEXT}>
                <Body
                  state={state}
                  panel={panel}
                  data={data}
                  events={events}
                  width={innerWidth}
                  height={innerHeight}
                  theme={around.theme}
                  timeZone={around.timeZone}
                  onZoom={onZoom}
                />
              </PanelContextProvider>
            </ErrorBoundaryAlert>
          ) : (
            <></>
          )
        }
      </PanelChrome>
    </section>
  );
}

function shownState(panel: Panel, data: PanelData): State {
  if (!(panel.type in VISUALIZATIONS)) {
    return 'error';
  }
  const state = stateOf(panel, data);
  return state === 'ok' && panel.type === 'alertlist' && chosenAlerts({ panel, data }).length === 0 ? 'empty' : state;
}

function unknown({ type }: Panel): string {
  return `The preview cannot draw a panel of type ${type}.`;
}

function Body({ state, ...properties }: Properties & { state: State }) {
  const { panel, data, width, height } = properties;
  const styles = useStyles2(stylesOf);
  const Visualization = VISUALIZATIONS[panel.type];
  if (!Visualization) {
    return <div className={styles.message}>{unknown(panel)}</div>;
  }
  const nothing = data.frames.every((frame) => frame.length === 0);
  if (state === 'empty' && panel.type === 'alertlist') {
    return <Message width={width} height={height} text="No alerts matching filters" />;
  }
  if (nothing && panel.type !== 'alertlist' && !SAY_SO_THEMSELVES.has(panel.type)) {
    return <Message width={width} height={height} text={panel.fieldConfig?.defaults.noValue ?? 'No data'} />;
  }
  return <Visualization {...properties} />;
}

function Message({ width, height, text }: { width: number; height: number; text: string }) {
  const styles = useStyles2(stylesOf);
  return (
    <div className={styles.message} style={{ width, height }}>
      {text}
    </div>
  );
}

function Links({ panel, replace }: { panel: Panel; replace: InterpolateFunction }) {
  const links = useMemo(() => panel.links ?? [], [panel]);
  if (links.length === 0) {
    return null;
  }
  const menu = () => (
    <Menu>
      {links.map((link) => (
        <Menu.Item
          key={link.title}
          label={replace(link.title, {}, 'text')}
          url={replace(link.url ?? '')}
          target={link.targetBlank ? '_blank' : undefined}
          icon="external-link-alt"
        />
      ))}
    </Menu>
  );
  return (
    <Dropdown overlay={menu} placement="bottom">
      <ToolbarButton icon="external-link-alt" iconSize="md" aria-label="Panel links" data-testid="panel-links" />
    </Dropdown>
  );
}

const stylesOf = (theme: GrafanaTheme2) => ({
  message: css({
    display: 'flex',
    alignItems: 'center',
    justifyContent: 'center',
    textAlign: 'center',
    height: '100%',
    color: theme.colors.text.secondary,
    fontSize: theme.typography.h4.fontSize,
    padding: theme.spacing(1),
    overflow: 'auto',
  }),
});
