// Annotations (vertical lines) and exemplars (diamonds) of a graph.
import { UPlotConfigBuilder, useTheme2 } from '@grafana/ui';
import { useLayoutEffect, useRef } from 'react';
import type uPlot from 'uplot';
import type { Event } from '../annotations';
import type { Exemplar } from '../prometheus';

interface MarksProperties {
  config: UPlotConfigBuilder;
  events: Event[];
  exemplars: Exemplar[];
}

export function Marks({ config, events, exemplars }: MarksProperties) {
  const theme = useTheme2();
  const latest = useRef({ events, exemplars });
  latest.current = { events, exemplars };
  const plot = useRef<uPlot>();
  useLayoutEffect(() => {
    config.addHook('init', (made) => {
      plot.current = made;
    });
    config.addHook('draw', (drawn) => {
      const { ctx, bbox } = drawn;
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height + 10 * devicePixelRatio);
      ctx.clip();
      latest.current.events.forEach((event) =>
        drawEvent(drawn, event, theme.visualization.getColorByName(event.colour)),
      );
      latest.current.exemplars.forEach((each) => drawExemplar(drawn, each, theme.visualization.getColorByName('blue')));
      ctx.restore();
    });
  }, [config, theme]);
  useLayoutEffect(() => plot.current?.redraw(false), [events, exemplars]);
  return null;
}

function drawEvent(plot: uPlot, event: Event, colour: string): void {
  const { ctx, bbox } = plot;
  const bottom = bbox.top + bbox.height;
  const [from, to] = [event.from, event.to].map((time) => plot.valToPos(time, 'x', true));
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([5 * devicePixelRatio, 5 * devicePixelRatio]);
  ctx.beginPath();
  for (const x of event.to > event.from ? [from, to] : [from]) {
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bottom);
  }
  ctx.stroke();
  ctx.setLineDash([]);
  const size = 5 * devicePixelRatio;
  if (event.to > event.from) {
    ctx.globalAlpha = 0.1;
    ctx.fillRect(from, bbox.top, to - from, bbox.height);
    ctx.globalAlpha = 1;
    ctx.fillRect(from, bottom, to - from, size);
  } else {
    ctx.beginPath();
    ctx.moveTo(from, bottom);
    ctx.lineTo(from - size, bottom + size);
    ctx.lineTo(from + size, bottom + size);
    ctx.fill();
  }
}

function drawExemplar(plot: uPlot, exemplar: Exemplar, colour: string): void {
  const scale = plot.series[1]?.scale ?? 'y';
  const { min, max } = plot.scales[scale] ?? {};
  if (min == null || max == null) {
    return;
  }
  const { ctx } = plot;
  const x = plot.valToPos(exemplar.time, 'x', true);
  // Exemplars outside of the scale are drawn at the edge.
  const y = plot.valToPos(Math.min(max, Math.max(min, exemplar.value)), scale, true);
  const size = 4 * devicePixelRatio;
  ctx.fillStyle = colour;
  ctx.beginPath();
  ctx.moveTo(x, y - size);
  ctx.lineTo(x + size, y);
  ctx.lineTo(x, y + size);
  ctx.lineTo(x - size, y);
  ctx.fill();
}
