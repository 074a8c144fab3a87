// Converts Prometheus series to Grafana data frames.
import { DataFrame, Field, FieldType, Labels, createDataFrame } from '@grafana/data';
import type { Target } from './model';
import type { Point, Series } from './prometheus';

/** A frame for each series; `step` in seconds, 0 for an instant. */
export function seriesFrames(series: Series[], target: Target, step: number): DataFrame[] {
  return series.map(({ metric, points }) => {
    const name = nameOf(target.legendFormat, metric);
    return createDataFrame({
      refId: target.refId,
      name,
      fields: [
        // Graphs need the interval to find gaps.
        { name: 'Time', type: FieldType.time, values: points.map(milliseconds), config: { interval: step * 1000 } },
        {
          name: 'Value',
          type: FieldType.number,
          labels: metric,
          values: points.map(number),
          config: { displayNameFromDS: name },
        },
      ],
    });
  });
}

/**
 * A frame with a column for each label and a row for each point. `siblings` is the number of queries of the panel: if a
 * single one has no result, the frame has no columns; the frame of one of several has those for time and value.
 */
export function tableFrame(series: Series[], target: Target, siblings: number): DataFrame {
  const rows = series.flatMap(({ metric, points }) => points.map((point) => ({ metric, point })));
  if (rows.length === 0 && siblings === 1) {
    return createDataFrame({ refId: target.refId, fields: [] });
  }
  const labels = [...new Set(rows.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const columns: Array<Partial<Field> & { name: string }> = labels.map((label) => ({
    name: label,
    type: FieldType.string,
    values: rows.map(({ metric }) => metric[label] ?? ''),
  }));
  return createDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: rows.map(({ point }) => milliseconds(point)) },
      ...columns,
      {
        name: siblings > 1 ? `Value #${target.refId}` : 'Value',
        type: FieldType.number,
        values: rows.map(({ point }) => number(point)),
      },
    ],
  });
}

/** The text with `{{label}}` replaced by the labels' values. */
export function labelled(text: string, labels: Labels): string {
  return text.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label: string) => labels[label] ?? '');
}

function nameOf(legend: string | undefined, metric: Labels): string {
  if (legend && legend !== '__auto') {
    return labelled(legend, metric);
  }
  const { __name__: name = '', ...rest } = metric;
  const labels = Object.entries(rest)
    .map(([key, value]) => `${key}="${value}"`)
    .join(', ');
  return labels ? `${name}{${labels}}` : name || 'Value';
}

function milliseconds([seconds]: Point): number {
  return seconds * 1000;
}

function number([, text]: Point): number {
  switch (text) {
    case '+Inf':
      return Infinity;
    case '-Inf':
      return -Infinity;
    default:
      return Number(text);
  }
}
