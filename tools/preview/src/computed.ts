// What Grafana computes for the panels of a dashboard, without drawing them. `computed.mjs` bundles it with the libraries
// of several versions of Grafana.
import {
  DataFrame,
  Field,
  FieldType,
  GrafanaTheme2,
  createTheme,
  dateTime,
  getFieldDisplayName,
  getFieldSeriesColor,
} from '@grafana/data';
import type { Dashboard, Panel } from './model';
import { load } from './panelData';
import { fillRegistries } from './registry';
import { resolve } from './variables';

fillRegistries();

export interface Shown {
  error?: string;
  frames: Array<{ refId?: string; columns: Column[] }>;
}

interface Column {
  name: string;
  type: FieldType;
  unit?: string;
  /** Custom options such as width, alignment and cell type. */
  custom: unknown;
  /** Of each row of a table, and of the last point of a line. */
  cells: Cell[];
}

interface Cell {
  text: string;
  /** Of a threshold, a text or a fixed colour; not of a palette, which depends on the version. */
  colour?: string;
  links: string[];
}

const WIDTH = 800;

/** By id of the panel. `from` and `to` in milliseconds. */
export async function computed(
  dashboard: Dashboard,
  chosen: Record<string, string[]>,
  from: number,
  to: number,
): Promise<Record<number, Shown>> {
  const raw = { from: dateTime(from), to: dateTime(to) };
  const range = { ...raw, raw };
  const around = { values: await resolve(dashboard, chosen, range), range, theme: createTheme(), timeZone: 'utc' };
  const shown: Record<number, Shown> = {};
  for (const panel of dashboard.panels.filter(({ targets }) => targets?.length)) {
    const { frames, error } = await load(panel, around, WIDTH);
    shown[panel.id] = { error, frames: frames.map((frame) => ofFrame(frame, frames, panel, around.theme)) };
  }
  return shown;
}

function ofFrame(frame: DataFrame, all: DataFrame[], panel: Panel, theme: GrafanaTheme2) {
  const last = Math.max(0, frame.length - 1);
  const rows = panel.targets?.some(({ format }) => format === 'table')
    ? Array.from({ length: frame.length }, (_, row) => row)
    : frame.length > 0
      ? [last]
      : [];
  return {
    refId: panel.transformations ? undefined : frame.refId,
    columns: frame.fields.map((field) => ({
      name: getFieldDisplayName(field, frame, all),
      type: field.type,
      unit: field.config.unit,
      custom: field.config.custom,
      cells: rows.map((row) => cell(field, row, theme)),
    })),
  };
}

function cell(field: Field, row: number, theme: GrafanaTheme2): Cell {
  const shown = field.display!(field.values[row]);
  const ofPalette =
    field.config.color?.mode.startsWith('palette') && shown.color === getFieldSeriesColor(field, theme).color;
  const links = field.config.links?.length ? field.getLinks!({ valueRowIndex: row }) : [];
  return {
    text: [shown.prefix, shown.text, shown.suffix].join(''),
    colour: ofPalette ? undefined : shown.color,
    links: links.map(({ href }) => href),
  };
}
