// Annotations, displayed as vertical lines: one for each time range in which a series of the query has points.
import { InterpolateFunction, TimeRange, rangeUtil } from '@grafana/data';
import { labelled } from './frames';
import { PROMETHEUS } from './interpolate';
import type { Annotation, Dashboard } from './model';
import { Series, queryRange } from './prometheus';

export interface Event {
  /** Milliseconds. */
  from: number;
  to: number;
  title: string;
  text: string;
  /** Grafana's name of it. */
  colour: string;
}

export async function loadEvents(
  dashboard: Dashboard,
  range: TimeRange,
  replace: InterpolateFunction,
): Promise<Event[]> {
  const found = (dashboard.annotations?.list ?? []).filter((each) => each.enable !== false && each.expr);
  const answers = await Promise.all(found.map((each) => ofAnnotation(each, range, replace)));
  return answers.flat();
}

async function ofAnnotation(annotation: Annotation, range: TimeRange, replace: InterpolateFunction): Promise<Event[]> {
  const step = Math.max(
    rangeUtil.intervalToSeconds(annotation.step || '60s'),
    Math.ceil((range.to.valueOf() - range.from.valueOf()) / 1000 / 1000),
  );
  const align = (time: number) => Math.floor(time / 1000 / step) * step;
  const span = { start: align(range.from.valueOf()), end: align(range.to.valueOf()) };
  const series = await queryRange(replace(annotation.expr ?? '', {}, PROMETHEUS), span, step);
  return series.flatMap((each) => eventsOf(each, annotation, step * 1000));
}

// Consecutive points are one event.
function eventsOf({ metric, points }: Series, annotation: Annotation, step: number): Event[] {
  const events: Event[] = [];
  for (const [seconds] of points) {
    const time = seconds * 1000;
    const last = events.at(-1);
    if (last && time - last.to <= step) {
      last.to = time;
    } else {
      events.push({
        from: time,
        to: time,
        title: labelled(annotation.titleFormat || annotation.name, metric),
        text: labelled(annotation.textFormat ?? '', metric),
        colour: annotation.iconColor ?? 'red',
      });
    }
  }
  return events;
}
