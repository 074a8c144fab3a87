// Panels with one value per series: stat, gauge and bar gauge.
import {
  DisplayValueAlignmentFactors,
  FieldDisplay,
  LinkModel,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
} from '@grafana/data';
import { VizOrientation } from '@grafana/schema';
import { BarGauge, BigValue, DataLinksContextMenu, VizRepeater, VizRepeaterRenderValueProps } from '@grafana/ui';
import { ReactElement } from 'react';
import { fieldConfigOf } from '../registry';
import { Dial } from './Dial';
import type { Properties } from './properties';

/** Reduced, named, formatted and coloured by Grafana's library. */
export function valuesOf({ panel, data, theme, timeZone }: Properties, sparkline = false): FieldDisplay[] {
  return getFieldDisplayValues({
    data: data.frames,
    reduceOptions: { calcs: ['lastNotNull'], ...panel.options?.reduceOptions },
    fieldConfig: fieldConfigOf(panel.type, panel.fieldConfig),
    replaceVariables: data.replace,
    theme,
    timeZone,
    sparkline,
    percentChange: panel.options?.showPercentChange,
  });
}

type Slot = VizRepeaterRenderValueProps<FieldDisplay, DisplayValueAlignmentFactors>;

interface RepeatedProperties extends Properties {
  sparkline?: boolean;
  autoGrid?: boolean;
  draw: (slot: Slot) => ReactElement;
}

function Repeated({ draw, sparkline, autoGrid, ...properties }: RepeatedProperties) {
  const options = properties.panel.options ?? {};
  return (
    <VizRepeater<FieldDisplay, DisplayValueAlignmentFactors>
      getValues={() => valuesOf(properties, sparkline)}
      renderValue={(slot) => <Linked slot={slot}>{draw(slot)}</Linked>}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      source={properties.data}
      renderCounter={0}
      width={properties.width}
      height={properties.height}
      orientation={options.orientation ?? VizOrientation.Auto}
      autoGrid={autoGrid}
      minVizWidth={options.minVizWidth}
      minVizHeight={options.minVizHeight}
      maxVizHeight={options.maxVizHeight}
      itemSpacing={8}
    />
  );
}

function Linked({ slot, children }: { slot: Slot; children: ReactElement }) {
  const { hasLinks, getLinks } = slot.value;
  if (!hasLinks || !getLinks) {
    return children;
  }
  return (
    <DataLinksContextMenu links={getLinks as () => LinkModel[]} style={{ cursor: 'pointer' }}>
      {() => children}
    </DataLinksContextMenu>
  );
}

export function Stat(properties: Properties) {
  const { panel, data, theme } = properties;
  const options = panel.options ?? {};
  return (
    <Repeated
      {...properties}
      autoGrid
      sparkline={options.graphMode !== 'none'}
      draw={({ value, count, alignmentFactors, width, height }) => (
        <BigValue
          value={value.display}
          count={count}
          sparkline={value.sparkline && { ...value.sparkline, timeRange: data.range }}
          colorMode={options.colorMode}
          graphMode={options.graphMode}
          justifyMode={options.justifyMode}
          textMode={options.textMode}
          percentChangeColorMode={options.percentChangeColorMode}
          disableWideLayout={options.wideLayout === false}
          alignmentFactors={alignmentFactors}
          text={options.text}
          width={width}
          height={height}
          theme={theme}
        />
      )}
    />
  );
}

export function Bars(properties: Properties) {
  const { panel, theme } = properties;
  const options = panel.options ?? {};
  return (
    <Repeated
      {...properties}
      draw={({ value, alignmentFactors, orientation, width, height }) => (
        <BarGauge
          value={value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex ?? 0)}
          width={width}
          height={height}
          orientation={orientation}
          displayMode={options.displayMode}
          showUnfilled={options.showUnfilled}
          valueDisplayMode={options.valueMode}
          namePlacement={options.namePlacement}
          alignmentFactors={alignmentFactors}
          text={options.text}
          theme={theme}
          itemSpacing={8}
          isOverflow={false}
        />
      )}
    />
  );
}

export function Gauges(properties: Properties) {
  const { panel, theme } = properties;
  return (
    <Repeated
      {...properties}
      draw={({ value, count, width, height }) => (
        <Dial
          value={value}
          title={count > 1 ? value.display.title : undefined}
          markers={panel.options?.showThresholdMarkers !== false}
          width={width}
          height={height}
          theme={theme}
        />
      )}
    />
  );
}
