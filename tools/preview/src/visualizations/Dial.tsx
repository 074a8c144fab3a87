// A gauge. Grafana's needs a library that its npm packages do not contain. Values and colours are computed by Grafana.
import { FieldDisplay, GrafanaTheme2, ThresholdsMode, formattedValueToString } from '@grafana/data';
import { arc } from 'd3-shape';

interface DialProperties {
  value: FieldDisplay;
  title?: string;
  markers: boolean;
  width: number;
  height: number;
  theme: GrafanaTheme2;
}

// Clockwise from the top.
const BEGIN = -0.6 * Math.PI;
const END = 0.6 * Math.PI;
const TITLE = 22;
// Height of the arc as a share of the full circle.
const PART = 0.68;

const band = arc<{ from: number; to: number; inner: number; outer: number }>()
  .startAngle((each) => each.from)
  .endAngle((each) => each.to)
  .innerRadius((each) => each.inner)
  .outerRadius((each) => each.outer);

export function Dial({ value, title, markers, width, height, theme }: DialProperties) {
  const { display, field } = value;
  const [min, max] = [field.min ?? 0, field.max ?? 100];
  const room = height - (title ? TITLE : 0);
  const radius = Math.max(10, Math.min(width / 2, room / (2 * PART)) - 6);
  const top = (height - (title ? TITLE : 0) - 2 * PART * radius) / 2;
  const angle = (number: number) => BEGIN + (END - BEGIN) * Math.max(0, Math.min(1, (number - min) / (max - min || 1)));
  const drawn = (from: number, to: number, inner: number, outer: number) =>
    band({ from, to, inner: radius * inner, outer: radius * outer }) ?? undefined;
  const text = formattedValueToString(display);
  return (
    <svg width={width} height={height} role="img" aria-label={`${display.title ?? ''} ${text}`}>
      <g transform={`translate(${width / 2} ${top + radius})`}>
        <path d={drawn(BEGIN, END, 0.72, 0.92)} fill={theme.colors.background.secondary} />
        {!Number.isNaN(display.numeric) && (
          <path d={drawn(BEGIN, angle(display.numeric), 0.72, 0.92)} fill={display.color} />
        )}
        {markers &&
          thresholdsOf(value, min, max).map(({ from, to, colour }) => (
            <path
              key={from}
              d={drawn(angle(from), angle(to), 0.94, 1)}
              fill={theme.visualization.getColorByName(colour)}
            />
          ))}
        <text
          textAnchor="middle"
          dominantBaseline="central"
          fill={Number.isNaN(display.numeric) ? theme.colors.text.secondary : display.color}
          fontSize={Math.min(radius * 0.36, (2.4 * radius) / Math.max(4, text.length))}
          fontWeight={500}
        >
          {text}
        </text>
      </g>
      {title && (
        <text x={width / 2} y={height - 6} textAnchor="middle" fill={theme.colors.text.primary} fontSize={14}>
          {title}
        </text>
      )}
    </svg>
  );
}

function thresholdsOf({ field }: FieldDisplay, min: number, max: number) {
  const { steps = [], mode } = field.thresholds ?? {};
  const absolute = (value: number) => (mode === ThresholdsMode.Percentage ? min + (value / 100) * (max - min) : value);
  return steps
    .map((step, index) => ({
      from: Math.max(min, absolute(step.value)),
      to: index + 1 < steps.length ? Math.min(max, absolute(steps[index + 1].value)) : max,
      colour: step.color,
    }))
    .filter(({ from, to }) => to > from);
}
