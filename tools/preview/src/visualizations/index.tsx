import { FunctionComponent } from 'react';
import { AlertList } from './AlertList';
import { Pie } from './Pie';
import { StateTimeline } from './StateTimeline';
import { TablePanel } from './TablePanel';
import { TextPanel } from './TextPanel';
import { TimeSeriesPanel } from './TimeSeriesPanel';
import { WorldMap } from './WorldMap';
import type { Properties } from './properties';
import { Bars, Gauges, Stat } from './values';

/** By panel type. */
export const VISUALIZATIONS: Record<string, FunctionComponent<Properties>> = {
  alertlist: AlertList,
  bargauge: Bars,
  gauge: Gauges,
  geomap: WorldMap,
  piechart: Pie,
  stat: Stat,
  'state-timeline': StateTimeline,
  table: TablePanel,
  text: TextPanel,
  timeseries: TimeSeriesPanel,
};

/** Panel types that display "No data" themselves, as in Grafana. */
export const SAY_SO_THEMSELVES = new Set(['stat', 'gauge', 'bargauge', 'text']);
