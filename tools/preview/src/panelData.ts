// The data of a panel: query results with transformations and field options applied.
import {
  DataFrame,
  FieldType,
  GrafanaTheme2,
  InterpolateFunction,
  TimeRange,
  applyFieldOverrides,
  rangeUtil,
  transformDataFrame,
} from '@grafana/data';
import { lastValueFrom } from 'rxjs';
import { seriesFrames, tableFrame } from './frames';
import { PROMETHEUS, Value, interpolator } from './interpolate';
import type { Panel, Target } from './model';
import { Alert, Exemplar, Span, alerts, queryExemplars, queryInstant, queryRange } from './prometheus';
import { fieldConfigOf, fieldConfigRegistry } from './registry';

export interface PanelData {
  frames: DataFrame[];
  exemplars: Exemplar[];
  alerts: Alert[];
  /** Errors of failed queries. */
  error?: string;
  /** The time range of the data. */
  range: TimeRange;
  replace: InterpolateFunction;
}

export interface Surroundings {
  values: Value[];
  range: TimeRange;
  theme: GrafanaTheme2;
  timeZone: string;
}

const SCRAPE_INTERVAL = 15_000;
const MOST_POINTS = 11_000;

/** Never rejects; errors are in `error`. */
export async function load(panel: Panel, around: Surroundings, width: number): Promise<PanelData> {
  const replace = interpolator(around.values, around.range);
  const data: PanelData = { frames: [], exemplars: [], alerts: [], range: around.range, replace };
  try {
    if (panel.type === 'alertlist') {
      return { ...data, alerts: await alerts() };
    }
    const targets = (panel.targets ?? []).filter((target) => !target.hide && target.expr);
    const answers = await Promise.allSettled(
      targets.map((target) => run(target, targets.length, panel, around, width)),
    );
    const arrived = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    const errors = answers.flatMap((answer) => (answer.status === 'rejected' ? [messageOf(answer.reason)] : []));
    const transformed = await transform(
      panel,
      arrived.flatMap((answer) => answer.frames),
      replace,
    );
    return {
      ...data,
      error: errors.length > 0 ? [...new Set(errors)].join('\n') : undefined,
      exemplars: arrived.flatMap((answer) => answer.exemplars),
      frames: applyFieldOverrides({
        data: transformed,
        fieldConfig: fieldConfigOf(panel.type, panel.fieldConfig),
        fieldConfigRegistry,
        replaceVariables: replace,
        theme: around.theme,
        timeZone: around.timeZone,
      }),
    };
  } catch (error) {
    return { ...data, error: messageOf(error) };
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function transform(panel: Panel, frames: DataFrame[], replace: InterpolateFunction): Promise<DataFrame[]> {
  const transformations = panel.transformations ?? [];
  return transformations.length > 0
    ? lastValueFrom(transformDataFrame(transformations, frames, { interpolate: replace }))
    : frames;
}

async function run(target: Target, siblings: number, panel: Panel, around: Surroundings, width: number) {
  const plain = interpolator(around.values, around.range);
  const least = plain(target.interval || panel.interval || '') || `${SCRAPE_INTERVAL}ms`;
  const step = stepOf(around.range, panel.maxDataPoints ?? width, rangeUtil.intervalToMs(least));
  const scrape = target.interval ? rangeUtil.intervalToMs(least) : SCRAPE_INTERVAL;
  const rate = Math.max(step + scrape, 4 * scrape);
  const query = interpolator(around.values, around.range, {
    __interval: `${step / 1000}s`,
    __interval_ms: String(step),
    __rate_interval: `${rate / 1000}s`,
    __rate_interval_ms: String(rate),
  })(target.expr ?? '', {}, PROMETHEUS);

  const span = aligned(around.range, step);
  const instant = target.instant ?? false;
  const [series, exemplars] = await Promise.all([
    instant ? queryInstant(query, around.range.to.valueOf() / 1000) : queryRange(query, span, step / 1000),
    target.exemplar && !instant ? queryExemplars(query, span) : [],
  ]);
  const frames =
    target.format === 'table'
      ? [tableFrame(series, target, siblings)]
      : seriesFrames(series, { ...target, legendFormat: plain(target.legendFormat ?? '') }, instant ? 0 : step / 1000);
  return { frames, exemplars };
}

/** Milliseconds between points. */
function stepOf(range: TimeRange, points: number, least: number): number {
  const { intervalMs } = rangeUtil.calculateInterval(range, points, `${least}ms`);
  const safe = (range.to.valueOf() - range.from.valueOf()) / MOST_POINTS;
  return Math.max(intervalMs, Math.ceil(safe / 1000) * 1000);
}

/** Aligns steps, so that a graph does not change at each refresh. */
function aligned(range: TimeRange, step: number): Span {
  const align = (time: number) => (Math.floor(time / step) * step) / 1000;
  return { start: align(range.from.valueOf()), end: align(range.to.valueOf()) };
}

export type State = 'ok' | 'empty' | 'error';

export function stateOf(panel: Panel, data: PanelData): State {
  if (data.error !== undefined) {
    return 'error';
  }
  switch (panel.type) {
    case 'text':
      return 'ok';
    case 'alertlist':
      return data.alerts.length > 0 ? 'ok' : 'empty';
    case 'table':
      return data.frames.some((frame) => frame.length > 0 && frame.fields.length > 0) ? 'ok' : 'empty';
    default:
      return data.frames.some(hasNumbers) ? 'ok' : 'empty';
  }
}

function hasNumbers(frame: DataFrame): boolean {
  return frame.fields.some(
    (field) => field.type === FieldType.number && field.values.some((value) => value != null && !Number.isNaN(value)),
  );
}
