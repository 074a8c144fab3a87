// Grafana's standard field options and transformations. Grafana's libraries export them, but not their registries, so
// they are registered here.
import {
  FieldColorModeId,
  FieldConfigOptionsRegistry,
  FieldConfigPropertyItem,
  FieldConfigSource,
  FieldType,
  ThresholdsConfig,
  ThresholdsMode,
  TransformerRegistryItem,
  displayNameOverrideProcessor,
  identityOverrideProcessor,
  numberOverrideProcessor,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  thresholdsOverrideProcessor,
  unitOverrideProcessor,
  valueMappingsOverrideProcessor,
} from '@grafana/data';

type Process = FieldConfigPropertyItem['process'];

function property(
  path: string,
  process: Process = identityOverrideProcessor,
  isCustom = false,
): FieldConfigPropertyItem {
  return {
    id: isCustom ? `custom.${path}` : path,
    path,
    name: path,
    isCustom,
    process,
    // A time field has no colour, axis or line.
    shouldApply: (field) => !isCustom || field.type !== FieldType.time,
    override: () => null,
    editor: () => null,
    settings: path === 'displayName' ? { expandTemplateVars: true } : {},
  };
}

const STANDARD = [
  property('displayName', displayNameOverrideProcessor),
  property('unit', unitOverrideProcessor),
  property('min', numberOverrideProcessor),
  property('max', numberOverrideProcessor),
  property('decimals', numberOverrideProcessor),
  property('mappings', valueMappingsOverrideProcessor),
  property('thresholds', thresholdsOverrideProcessor as Process),
  ...['noValue', 'color', 'links', 'actions', 'filterable', 'description', 'fieldMinMax'].map((path) => property(path)),
];

const CUSTOM = [
  ...[
    'drawStyle',
    'lineInterpolation',
    'lineWidth',
    'lineStyle',
    'lineColor',
    'fillOpacity',
    'fillColor',
    'fillBelowTo',
  ],
  ...['gradientMode', 'showPoints', 'pointSize', 'pointColor', 'spanNulls', 'insertNulls', 'stacking', 'barAlignment'],
  ...['barWidthFactor', 'barMaxWidth', 'thresholdsStyle', 'axisPlacement', 'axisLabel', 'axisColorMode', 'axisWidth'],
  ...['axisSoftMin', 'axisSoftMax', 'axisGridShow', 'axisBorderShow', 'axisCenteredZero', 'scaleDistribution'],
  ...[
    'hideFrom',
    'transform',
    'align',
    'cellOptions',
    'width',
    'minWidth',
    'hidden',
    'inspect',
    'filterable',
    'neutral',
  ],
].map((path) => property(path, identityOverrideProcessor, true));

export const fieldConfigRegistry = new FieldConfigOptionsRegistry(() => [...STANDARD, ...CUSTOM]);

export function fillRegistries(): void {
  standardFieldConfigEditorRegistry.setInit(() => STANDARD);
  standardTransformersRegistry.setInit(() => {
    // Some are exported under two names.
    const unique = new Map(Object.values(standardTransformers).map((each) => [each.id, each]));
    return [...unique.values()].map((each): TransformerRegistryItem => ({
      id: each.id,
      name: each.name,
      description: each.description,
      transformation: each,
      editor: () => null,
    }));
  });
}

const HIDDEN_NOWHERE = { tooltip: false, viz: false, legend: false };

const CUSTOM_DEFAULTS: Record<string, object> = {
  timeseries: {
    drawStyle: 'line',
    lineInterpolation: 'linear',
    lineWidth: 1,
    fillOpacity: 0,
    gradientMode: 'none',
    showPoints: 'auto',
    pointSize: 5,
    barAlignment: 0,
    barWidthFactor: 0.6,
    axisPlacement: 'auto',
    axisColorMode: 'text',
    scaleDistribution: { type: 'linear' },
    stacking: { mode: 'none', group: 'A' },
    thresholdsStyle: { mode: 'off' },
    hideFrom: HIDDEN_NOWHERE,
  },
  'state-timeline': { lineWidth: 0, fillOpacity: 70, hideFrom: HIDDEN_NOWHERE },
  piechart: { hideFrom: HIDDEN_NOWHERE },
  table: { align: 'auto', inspect: false, cellOptions: { type: 'auto' } },
};

const COLOURS: Record<string, FieldColorModeId> = {
  timeseries: FieldColorModeId.PaletteClassic,
  piechart: FieldColorModeId.PaletteClassic,
  'state-timeline': FieldColorModeId.ContinuousGrYlRd,
};

const THRESHOLDS: ThresholdsConfig = {
  mode: ThresholdsMode.Absolute,
  steps: [
    { value: -Infinity, color: 'green' },
    { value: 80, color: 'red' },
  ],
};

/** The field options of a panel as after loading in Grafana. */
export function fieldConfigOf(type: string, source: FieldConfigSource | undefined): FieldConfigSource {
  const defaults = source?.defaults ?? {};
  return {
    defaults: {
      ...defaults,
      color: defaults.color ?? { mode: COLOURS[type] ?? FieldColorModeId.Thresholds },
      thresholds: withBase(defaults.thresholds ?? THRESHOLDS),
      custom: { ...CUSTOM_DEFAULTS[type], ...defaults.custom },
    },
    overrides: (source?.overrides ?? []).map((rule) => ({
      ...rule,
      properties: rule.properties.map((each) =>
        each.id === 'thresholds' ? { ...each, value: withBase(each.value) } : each,
      ),
    })),
  };
}

// JSON has no infinity: the first threshold's value is null in the file.
function withBase(thresholds: ThresholdsConfig): ThresholdsConfig {
  return { ...thresholds, steps: thresholds.steps.map((step) => ({ ...step, value: step.value ?? -Infinity })) };
}
