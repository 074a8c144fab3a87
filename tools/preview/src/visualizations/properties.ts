import type { GrafanaTheme2 } from '@grafana/data';
import type { Event } from '../annotations';
import type { Panel } from '../model';
import type { PanelData } from '../panelData';

/** The input of each visualization. */
export interface Properties {
  panel: Panel;
  data: PanelData;
  events: Event[];
  width: number;
  height: number;
  theme: GrafanaTheme2;
  timeZone: string;
  /** Called with a time range that the user selected. */
  onZoom: (from: number, to: number) => void;
}
