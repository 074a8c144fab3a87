import {
  DataFrame,
  FieldType,
  compareArrayValues,
  compareDataFrameStructures,
  dateTimeFormat,
  formattedValueToString,
} from '@grafana/data';
import { SortOrder, TooltipDisplayMode, VizLegendOptions } from '@grafana/schema';
import { SeriesTable, TimeSeries, TooltipPlugin2 } from '@grafana/ui';
import { useMemo, useRef } from 'react';
import { Marks } from './Marks';
import type { Properties } from './properties';

const LEGEND = { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] };

// The enumeration exists at compile time only.
const HOVER_ONE = 0;
const HOVER_ALL = 1;

export function TimeSeriesPanel({ panel, data, events, width, height, timeZone, onZoom }: Properties) {
  const frames = useMemo(() => data.frames.map(drawable), [data.frames]);
  const structureRev = useStructureRevision(frames);
  const legend = useMemo(() => ({ ...LEGEND, ...panel.options?.legend }) as VizLegendOptions, [panel]);
  const mode: TooltipDisplayMode = panel.options?.tooltip?.mode ?? TooltipDisplayMode.Single;
  return (
    <TimeSeries
      frames={frames}
      structureRev={structureRev}
      timeRange={data.range}
      timeZone={timeZone}
      width={width}
      height={height}
      legend={legend}
      options={panel.options}
    >
      {(config, aligned) => (
        <>
          <Marks config={config} events={events} exemplars={data.exemplars} />
          <TooltipPlugin2
            config={config}
            hoverMode={mode === TooltipDisplayMode.Multi ? HOVER_ALL : HOVER_ONE}
            queryZoom={({ from, to }) => onZoom(from, to)}
            render={(_, indices, hovered) =>
              mode === TooltipDisplayMode.None ? null : (
                <Tooltip
                  frame={aligned}
                  indices={indices}
                  hovered={hovered}
                  all={mode === TooltipDisplayMode.Multi}
                  sort={panel.options?.tooltip?.sort ?? SortOrder.None}
                  timeZone={timeZone}
                />
              )
            }
          />
        </>
      )}
    </TimeSeries>
  );
}

interface TooltipProperties {
  frame: DataFrame;
  indices: Array<number | null>;
  hovered: number | null;
  all: boolean;
  sort: SortOrder;
  timeZone: string;
}

function Tooltip({ frame, indices, hovered, all, sort, timeZone }: TooltipProperties) {
  const time = frame.fields[0].values[indices[0] ?? 0];
  const rows = frame.fields
    .map((field, index) => ({ field, index, value: indices[index] == null ? null : field.values[indices[index]] }))
    .filter(({ index, value }) => index > 0 && value != null && (all || index === hovered));
  if (sort !== SortOrder.None) {
    rows.sort((a, b) => (sort === SortOrder.Ascending ? a.value - b.value : b.value - a.value));
  }
  return (
    <div style={{ padding: 8 }}>
      <SeriesTable
        timestamp={dateTimeFormat(time, { timeZone })}
        series={rows.map(({ field, index, value }) => {
          const display = field.display!(value);
          return {
            label: field.state?.displayName ?? field.name,
            value: formattedValueToString(display),
            color: display.color,
            isActive: all && index === hovered,
          };
        })}
      />
    </div>
  );
}

// Infinity and NaN cannot be drawn.
function drawable(frame: DataFrame): DataFrame {
  return {
    ...frame,
    fields: frame.fields.map((field) =>
      field.type === FieldType.number
        ? { ...field, values: field.values.map((value) => (Number.isFinite(value) ? value : null)) }
        : field,
    ),
  };
}

/** A number that changes when the lines of the graph change. */
function useStructureRevision(frames: DataFrame[]): number {
  const last = useRef({ frames, revision: 1 });
  if (last.current.frames !== frames) {
    const same = compareArrayValues(last.current.frames, frames, compareDataFrameStructures);
    last.current = { frames, revision: last.current.revision + (same ? 0 : 1) };
  }
  return last.current.revision;
}
