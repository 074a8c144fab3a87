// node check.mjs FILE...: checks dashboards against the TypeScript types of the oldest and the newest supported version
// of Grafana and of the one whose schema the files have. Exits with 1 on errors.
//
// Grafana's type Dashboard does not type panel options. So each panel becomes a literal of its panel type's types, with
// enumerations and string identifiers made strict.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import ts from 'typescript';
import './browserless.mjs';
import { VERSIONS } from './versions.mjs';

const HOME = path.dirname(fileURLToPath(import.meta.url));

// Options that a version does not have. They change nothing there if they have these values, which are the defaults of
// the versions that have them.
const ABSENT = {
  10.4: {
    variable: { allowCustomValue: true },
    bargauge: { legend: { calcs: [], displayMode: 'list', placement: 'bottom', showLegend: false } },
    stat: { percentChangeColorMode: 'standard' },
    'state-timeline': { perPage: 20 },
  },
  11.6: {},
  // Grafana 12 removes it when it opens the file.
  12.4: { table: { footer: { countRows: false, reducer: [], show: false } } },
};

const KINDS = {
  bargauge: { name: 'BarGauge' },
  gauge: { name: 'Gauge' },
  geomap: { name: 'Geomap' },
  piechart: { name: 'PieChart', fields: true },
  stat: { name: 'Stat' },
  'state-timeline': { name: 'StateTimeline', fields: true },
  table: { name: 'Table', fields: true },
  text: { name: 'Text' },
  timeseries: { name: 'TimeSeries', fields: true },
};

const identifier = (kind) => kind.replace(/-/g, '');

const prelude = (schema) => `
import type { AnnotationQuery, Dashboard, DashboardLink, FieldConfig, Panel, VariableModel } from '@grafana/schema';
import type { DataTransformerID, FieldMatcherID, ReducerID } from '@grafana/data';
${Object.entries(KINDS)
  .map(([kind, { name }]) => {
    // By path, because the package does not export it.
    const module = `./node_modules/${schema}/dist/esm/raw/composable/${identifier(kind)}/panelcfg/x/${name}PanelCfg_types.gen`;
    return `import type * as ${identifier(kind)} from '${module}';`;
  })
  .join('\n')}

/** Enumerations as JSON values. */
type Json<T> = T extends string
  ? \`\${T}\`
  : T extends (infer U)[]
    ? Json<U>[]
    : T extends object
      ? { [K in keyof T]: Json<T[K]> }
      : T;
/** Properties with defaults are optional in JSON. */
type Part<T> = T extends (infer U)[] ? Part<U>[] : T extends object ? { [K in keyof T]?: Part<T[K]> } : T;
/** Without index signatures, which would allow any property. */
type Known<T> = { [K in keyof T as string extends K ? never : K]: T[K] };

type Reducer = \`\${ReducerID}\`;
type Reduced<O> = {
  [K in keyof O]: K extends 'reduceOptions'
    ? Omit<NonNullable<O[K]>, 'calcs'> & { calcs: Reducer[] }
    : K extends 'legend'
      ? Omit<NonNullable<O[K]>, 'calcs'> & { calcs?: Reducer[] }
      : O[K];
};

type Standard = Omit<Known<Json<FieldConfig>>, 'custom'>;
type Property<C> =
  | { [K in keyof C & string]: { id: \`custom.\${K}\`; value: NonNullable<C[K]> } }[keyof C & string]
  | { [K in keyof Standard & string]: { id: K; value: NonNullable<Standard[K]> } }[keyof Standard & string];
type Fields<C> = {
  defaults: Standard & { custom?: Json<Part<C>> };
  overrides: Array<{
    matcher: { id: \`\${FieldMatcherID}\`; options?: unknown };
    properties: Array<Property<Required<Json<Part<C>>>>>;
  }>;
};

type Source = { type: 'prometheus'; uid: string };
type Target = {
  refId: string;
  datasource: Source;
  expr: string;
  range: boolean;
  instant: boolean;
  format?: 'table' | 'time_series' | 'heatmap';
  legendFormat?: string;
  interval?: string;
  intervalFactor?: number;
  exemplar?: boolean;
  hide?: boolean;
  editorMode?: 'code' | 'builder';
};
type Transformation = { id: \`\${DataTransformerID}\`; options: object; disabled?: boolean; filter?: object };
type Frame = Omit<Known<Json<Panel>>, 'options' | 'fieldConfig' | 'targets' | 'transformations' | 'datasource'>;
type Drawn<O, C> = Frame & {
  options: Reduced<Json<Part<O>>>;
  fieldConfig: Fields<C>;
  datasource: Source;
  targets: Target[];
  transformations?: Transformation[];
};
type Words = Frame & {
  options: Json<Part<text.Options>>;
  fieldConfig?: object;
  datasource?: Source;
  targets?: never[];
};
/** Grafana publishes no types of it. */
type Alerts = Frame & {
  datasource?: Source;
  fieldConfig?: object;
  targets?: never[];
  options: {
    alertName?: string;
    alertInstanceLabelFilter?: string;
    dashboardAlerts?: boolean;
    datasource?: string;
    folder?: unknown;
    groupBy?: string[];
    groupMode?: 'default' | 'custom';
    maxItems?: number;
    showInstances?: boolean;
    sortOrder?: 1 | 2 | 3 | 4 | 5;
    stateFilter?: { [state in 'error' | 'firing' | 'noData' | 'normal' | 'pending' | 'recovering']?: boolean };
    viewMode?: 'list' | 'stat';
  };
};
type Row = {
  id: number;
  type: 'row';
  title: string;
  collapsed?: boolean;
  gridPos: object;
  panels: never[];
  repeatDirection?: 'h' | 'v';
};

type Automatic = { auto?: boolean; auto_count?: number; auto_min?: string };
type Variable = Part<Known<Json<VariableModel>>> & { name: string; type: string } & Automatic;
type OfPrometheus = { expr?: string; titleFormat?: string; textFormat?: string; tagKeys?: string; step?: string };
type Annotation = Known<Json<AnnotationQuery>> & OfPrometheus;
type Outside = Omit<Known<Json<Dashboard>>, 'panels' | 'templating' | 'annotations'> & {
  templating?: { list?: Variable[] };
  annotations?: { list?: Annotation[] };
};
`;

function typeOf(panel) {
  switch (panel.type) {
    case 'row':
      return 'Row';
    case 'text':
      return 'Words';
    case 'alertlist':
      return 'Alerts';
    default: {
      const kind = KINDS[panel.type];
      const module = identifier(panel.type);
      // Panel types that the preview does not support are not supported here either.
      return kind
        ? `Drawn<${module}.Options, ${kind.fields ? `${module}.FieldConfig` : 'Record<never, never>'}>`
        : 'never';
    }
  }
}

/** The dashboard without the options that the version does not have. */
function known({ panels, templating, ...outside }, version) {
  const without = (options, kind) =>
    Object.fromEntries(
      Object.entries(options ?? {}).filter(([key, value]) => !isDeepStrictEqual(ABSENT[version][kind]?.[key], value)),
    );
  return {
    ...outside,
    ...(templating && { templating: { list: templating.list.map((each) => without(each, 'variable')) } }),
    panels: panels.map((panel) =>
      panel.options ? { ...panel, options: without(panel.options, panel.type) } : panel,
    ),
  };
}

function sourceOf({ panels, ...outside }, schema) {
  const literals = panels.map(
    (panel, index) => `export const panel${index} = ${JSON.stringify(panel, null, 1)} satisfies ${typeOf(panel)};\n`,
  );
  return `${prelude(schema)}export const outside = ${JSON.stringify(outside, null, 1)} satisfies Outside;\n${literals.join('')}`;
}

function typeErrors(dashboards, version) {
  const { data, schema } = VERSIONS[version];
  const options = {
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    jsx: ts.JsxEmit.ReactJSX,
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    paths: {
      '@grafana/data': [path.join(HOME, 'node_modules', data)],
      '@grafana/schema': [path.join(HOME, 'node_modules', schema)],
    },
  };
  const sources = new Map(
    dashboards.map(({ content }, index) => [path.join(HOME, `dashboard${index}.check.ts`), sourceOf(content, schema)]),
  );
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (name) => sources.has(name) || fileExists(name);
  host.readFile = (name) => sources.get(name) ?? readFile(name);
  host.getSourceFile = (name, version, ...rest) =>
    sources.has(name)
      ? ts.createSourceFile(name, sources.get(name), version)
      : getSourceFile.call(host, name, version, ...rest);
  const program = ts.createProgram([...sources.keys()], options, host);
  return ts.getPreEmitDiagnostics(program).map((diagnostic) => {
    const text = ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n  ');
    const source = diagnostic.file && sources.get(diagnostic.file.fileName);
    if (!source) {
      return `${diagnostic.file?.fileName ?? ''}: ${text}`;
    }
    const { name, content } = dashboards[[...sources.keys()].indexOf(diagnostic.file.fileName)];
    const before = source.slice(0, diagnostic.start).matchAll(/^export const (?:panel(\d+)|outside) = /gm);
    const index = [...before].at(-1)?.[1];
    const line = source.slice(0, diagnostic.start).split('\n').length - 1;
    return `${name}: ${placeOf(content.panels[index])}: ${source.split('\n')[line].trim()}\n  ${text}`;
  });
}

function placeOf(panel) {
  return panel ? `panel ${panel.id} (${panel.title})` : 'the dashboard';
}

// Extensible values, which the types leave open: units and reducers.
function valueErrors(dashboards, version) {
  const { getValueFormats, fieldReducers } = grafanaData(version);
  const units = new Set(getValueFormats().flatMap((category) => category.submenu.map(({ value }) => value)));
  const isUnit = (unit) => units.has(unit) || /^(suffix|prefix|time|si|count|currency|bool):/.test(unit);
  const errors = [];
  for (const { name, content } of dashboards) {
    for (const panel of content.panels) {
      const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
      const set = overrides.flatMap(({ properties }) => properties.filter(({ id }) => id === 'unit'));
      for (const unit of [defaults.unit, ...set.map(({ value }) => value)]) {
        if (unit !== undefined && !isUnit(unit)) {
          errors.push(`${name}: ${placeOf(panel)}: there is no unit ${JSON.stringify(unit)}`);
        }
      }
      for (const reducer of (panel.transformations ?? []).flatMap(({ options }) => reducersIn(options))) {
        if (!fieldReducers.getIfExists(reducer)) {
          errors.push(`${name}: ${placeOf(panel)}: there is no reducer ${JSON.stringify(reducer)}`);
        }
      }
    }
  }
  return errors;
}

function reducersIn(options) {
  if (typeof options !== 'object' || options === null) {
    return [];
  }
  return Object.entries(options).flatMap(([key, value]) =>
    ['reducer', 'reducers', 'aggregations'].includes(key) ? [value].flat() : reducersIn(value),
  );
}

function grafanaData(version) {
  return createRequire(import.meta.url)(VERSIONS[version].data);
}

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error('usage: npm run check -- FILE...');
  process.exit(2);
}
const dashboards = files.map((file) => ({
  name: path.basename(file),
  content: JSON.parse(fs.readFileSync(file, 'utf8')),
}));
const errors = Object.keys(VERSIONS).flatMap((version) => {
  const read = dashboards.map(({ name, content }) => ({ name, content: known(content, version) }));
  const found = [...typeErrors(read, version), ...valueErrors(read, version)];
  return found.map((each) => each.replace(': ', `: Grafana ${version}: `));
});
errors.forEach((error) => console.error(error));
process.exit(errors.length > 0 ? 1 : 0);
