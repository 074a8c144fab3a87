// A state timeline, which Grafana's libraries do not have. Texts and colours of the states are computed by Grafana.
import {
  DataFrame,
  DisplayValue,
  Field,
  FieldColorModeId,
  FieldType,
  GrafanaTheme2,
  dateTimeFormat,
  formattedValueToString,
  getActiveThreshold,
  getFieldDisplayName,
} from '@grafana/data';
import { LegendDisplayMode } from '@grafana/schema';
import { VizLayout, VizLegend, measureText } from '@grafana/ui';
import { scaleTicks } from './ticks';
import type { Properties } from './properties';

interface Stretch {
  from: number;
  to: number;
  display: DisplayValue;
}

const AXIS = 22;
const FONT = 12;

export function StateTimeline({ panel, data, width, height, theme, timeZone }: Properties) {
  const options = panel.options ?? {};
  const [from, to] = [data.range.from.valueOf(), data.range.to.valueOf()];
  const rows = data.frames.flatMap((frame) =>
    frame.fields
      .filter((field) => field.type !== FieldType.time)
      .map((field) => ({
        name: getFieldDisplayName(field, frame, data.frames),
        ...statesOf(frame, field, to, displayOf(field, options.mergeValues !== false, theme)),
      })),
  );
  const longest = Math.max(...rows.map(({ name }) => measureText(name, FONT).width));
  const left = Math.min(longest + 12, width * 0.4);
  const x = (time: number) => left + ((width - left) * (Math.max(from, time) - from)) / (to - from);
  const displays = rows.flatMap(({ stretches, gap }) => [...stretches.map(({ display }) => display), ...gap]);
  const states = new Map<string, string | undefined>(
    displays
      .map((display): [string, string | undefined] => [formattedValueToString(display), display.color])
      .filter(([text]) => text !== ''),
  );
  const legend = options.legend ?? { showLegend: true };
  return (
    <VizLayout
      width={width}
      height={height}
      legend={
        legend.showLegend ? (
          <VizLayout.Legend placement="bottom">
            <VizLegend
              placement="bottom"
              displayMode={LegendDisplayMode.List}
              items={[...states].map(([label, color]) => ({ label, color, yAxis: 1 }))}
            />
          </VizLayout.Legend>
        ) : null
      }
    >
      {(_: number, chart: number) => {
        const pitch = (chart - AXIS) / rows.length;
        const bar = pitch * (options.rowHeight ?? 0.9);
        const opacity = (panel.fieldConfig?.defaults.custom?.fillOpacity ?? 70) / 100;
        return (
          <svg width={width} height={chart} fontSize={FONT} fill={theme.colors.text.primary}>
            {rows.map(({ name, stretches }, row) => (
              <g key={row} transform={`translate(0 ${pitch * row})`}>
                <text x={left - 8} y={pitch / 2} textAnchor="end" dominantBaseline="central">
                  {fitted(name, left - 12)}
                  <title>{name}</title>
                </text>
                {stretches.map((stretch, index) => (
                  <g key={index}>
                    <rect
                      x={x(stretch.from)}
                      width={Math.max(0, x(stretch.to) - x(stretch.from))}
                      y={(pitch - bar) / 2}
                      height={bar}
                      fill={stretch.display.color}
                      fillOpacity={opacity}
                    >
                      <title>{`${name}: ${formattedValueToString(stretch.display)}`}</title>
                    </rect>
                    {options.showValue !== 'never' && x(stretch.to) - x(stretch.from) > 30 && (
                      <text x={x(stretch.from) + 6} y={pitch / 2} dominantBaseline="central">
                        {fitted(formattedValueToString(stretch.display), x(stretch.to) - x(stretch.from) - 8)}
                      </text>
                    )}
                  </g>
                ))}
              </g>
            ))}
            {scaleTicks(from, to, (width - left) / 90).map((time) => (
              <text key={time} x={x(time)} y={chart - 5} textAnchor="middle" fill={theme.colors.text.secondary}>
                {dateTimeFormat(time, { timeZone, format: to - from > 86_400_000 ? 'MM/DD HH:mm' : 'HH:mm' })}
              </text>
            ))}
          </svg>
        );
      }}
    </VizLayout>
  );
}

type Display = (value: unknown) => DisplayValue;

// Grafana merges the values of a field by threshold if its colours come from thresholds: a state is then a range of
// values, and the mappings are ignored.
function displayOf(field: Field, merge: boolean, theme: GrafanaTheme2): Display | undefined {
  const steps = field.config.thresholds?.steps ?? [];
  if (!merge || field.config.color?.mode !== FieldColorModeId.Thresholds || steps.length === 0) {
    return field.display;
  }
  return (value) => {
    const active = getActiveThreshold(Number(value), steps);
    const next = steps[steps.indexOf(active) + 1];
    const text = active.value === -Infinity ? (next ? `< ${next.value}` : '-∞+') : `${active.value}+`;
    return { text, numeric: Number(value), color: theme.visualization.getColorByName(active.color) };
  };
}

interface States {
  stretches: Stretch[];
  /** Display of missing values, if any. It is in the legend unless its text is empty. */
  gap: DisplayValue[];
}

// A point lasts until the next one, but not longer than the step, so that gaps stay empty.
function statesOf(frame: DataFrame, field: Field, end: number, display: Display | undefined): States {
  const time = frame.fields.find((each) => each.type === FieldType.time);
  if (!time || !display) {
    return { stretches: [], gap: [] };
  }
  const step = time.config.interval ?? Infinity;
  const stretches: Stretch[] = [];
  for (let index = 0; index < frame.length; index++) {
    const value = field.values[index];
    if (value == null || Number.isNaN(value)) {
      continue;
    }
    const begin = time.values[index];
    const next = Math.min(time.values[index + 1] ?? end, begin + step * 1.5);
    const shown = display(value);
    const last = stretches.at(-1);
    if (last && last.to >= begin && last.display.text === shown.text) {
      last.to = next;
    } else {
      stretches.push({ from: begin, to: next, display: shown });
    }
  }
  const missing = stretches.some(({ from }, index) => index > 0 && from > stretches[index - 1].to);
  return { stretches, gap: missing && field.display ? [field.display(null)] : [] };
}

function fitted(text: string, width: number): string {
  let length = text.length;
  while (length > 1 && measureText(text.slice(0, length), FONT).width > width) {
    length -= 1;
  }
  return length < text.length ? `${text.slice(0, length)}…` : text;
}
