import type { GrafanaTheme2 } from '@grafana/data';
import type { Event } from '../annotations';
import type { Panel } from '../model';
import type { PanelData } from '../panelData';

/** What each kind of panel is drawn from. */
export interface Properties {
  panel: Panel;
  data: PanelData;
  events: Event[];
  width: number;
  height: number;
  theme: GrafanaTheme2;
  timeZone: string;
  /** Where the reader has selected a part of the time. */
  onZoom: (from: number, to: number) => void;
}
