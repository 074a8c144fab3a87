// Variables in texts, queries and URLs: `$name`, `${name:format}` and `${name.path}`.
import {
  DataContextScopedVar,
  InterpolateFunction,
  TimeRange,
  formatLabels,
  formattedValueToString,
  getFieldDisplayName,
  getFieldDisplayValuesProxy,
  rangeUtil,
  ScopedVars,
} from '@grafana/data';

export const ALL = '$__all';

export interface Value {
  name: string;
  /** `[ALL]` if all are selected. */
  chosen: string[];
  /** The value for All; by default all options. */
  allValue?: string;
  options: string[];
  /** The text of each option. */
  texts: Map<string, string>;
  multi: boolean;
}

const REFERENCE = /\$(\w+)|\$\{(\w+)(?:\.([^:}]+))?(?::([^}]+))?\}/g;

type Format = (values: string[], value: Value) => string;

const FORMATS: Record<string, Format> = {
  queryparam: (_, { name, chosen }) => chosen.map((each) => `var-${name}=${encodeURIComponent(each)}`).join('&'),
  percentencode: (values) => encodeURIComponent(values.length === 1 ? values[0] : `{${values.join(',')}}`),
  // Keeps the characters that separate the parts of a URL.
  uriencode: (values) => encodeURI(values.length === 1 ? values[0] : `{${values.join(',')}}`),
  csv: (values) => values.join(','),
  pipe: (values) => values.join('|'),
  raw: (values) => values.join(','),
  text: (values, { chosen, texts }) =>
    chosen[0] === ALL ? 'All' : values.map((each) => texts.get(each) ?? each).join(' + '),
  regex: (values) => alternatives(values.map(escapeRegex)),
  glob: (values) => (values.length === 1 ? values[0] : `{${values.join(',')}}`),
};

/** Formats the values of a variable in a query as Grafana's Prometheus data source does. */
export const PROMETHEUS: Format = (values, { multi }) =>
  multi
    ? alternatives(values.map(escapeInQuery))
    : values.map((each) => each.replace(/\\/g, '\\\\').replace(/'/g, "\\\\'")).join('');

function alternatives(values: string[]): string {
  return values.length === 1 ? values[0] : `(${values.join('|')})`;
}

function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

// Escaped twice: for the regular expression, and for the string that contains it.
function escapeInQuery(text: string): string {
  return text.replace(/\\/g, '\\\\\\\\').replace(/[$^*{}[\]'+?.()|]/g, '\\\\$&');
}

/** `constants` are the macros of a query, such as `__interval`. */
export function interpolator(
  values: Value[],
  range: TimeRange,
  constants: Record<string, string> = {},
): InterpolateFunction {
  const variables = new Map(values.map((each) => [each.name, each]));
  const builtIn: Record<string, string> = { ...timeMacros(range), ...constants };

  return (text, scoped, format) =>
    String(text ?? '').replace(REFERENCE, (whole, short?: string, long?: string, path?: string, own?: string) => {
      const name = short ?? long ?? '';
      const found = ofContext(name, path, scoped);
      if (found !== undefined) {
        return encoded(found, own ?? format);
      }
      if (name === '__all_variables') {
        return values.map((each) => FORMATS.queryparam([], each)).join('&');
      }
      if (name in builtIn) {
        return builtIn[name];
      }
      const value = variables.get(name);
      if (!value) {
        return whole;
      }
      return formatted(value, own ?? format);
    });
}

function encoded(text: string, format: string | Function | undefined): string {
  switch (format) {
    case 'percentencode':
      return encodeURIComponent(text);
    case 'uriencode':
      return encodeURI(text);
    default:
      return text;
  }
}

function formatted(value: Value, format: string | Function | undefined): string {
  const all = value.chosen[0] === ALL;
  if (all && value.allValue && format !== 'queryparam' && format !== 'text') {
    return value.allValue;
  }
  const values = all ? value.options : value.chosen;
  if (typeof format === 'function') {
    return (format as Format)(values, value);
  }
  return (FORMATS[format ?? 'glob'] ?? FORMATS.glob)(values, value);
}

function timeMacros(range: TimeRange): Record<string, string> {
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  const seconds = Math.round((to - from) / 1000);
  return {
    __from: String(from),
    __to: String(to),
    __range: `${seconds}s`,
    __range_s: String(seconds),
    __range_ms: String(to - from),
    __url_time_range: new URLSearchParams(
      rangeUtil.isRelativeTimeRange(range.raw)
        ? { from: String(range.raw.from), to: String(range.raw.to) }
        : { from: String(from), to: String(to) },
    ).toString(),
  };
}

// `${__field...}`, `${__data...}`, `${__value...}` and `${__series.name}`: of the field of a link or name.
function ofContext(name: string, path: string | undefined, scoped: ScopedVars | undefined): string | undefined {
  const context = (scoped?.__dataContext as DataContextScopedVar | undefined)?.value;
  if (!context || !name.startsWith('__')) {
    return undefined;
  }
  const { field, frame, data, rowIndex, calculatedValue } = context;
  const keys = steps(path ?? '');
  switch (name) {
    case '__series':
      return frame.name ?? '';
    case '__field':
      if (keys[0] === 'labels') {
        return keys.length > 1 ? (field.labels?.[keys[1]] ?? '') : field.labels ? formatLabels(field.labels) : '';
      }
      return getFieldDisplayName(field, frame, data);
    case '__value': {
      if (calculatedValue) {
        return textOf(calculatedValue, keys[0]);
      }
      const raw = rowIndex === undefined ? undefined : field.values[rowIndex];
      return field.display ? textOf({ ...field.display(raw), raw }, keys[0]) : String(raw ?? '');
    }
    case '__data': {
      const row = getFieldDisplayValuesProxy({ frame, rowIndex: rowIndex ?? 0 });
      const cell = row[keys[1]];
      return cell && textOf({ ...cell, raw: fieldNamed(context, keys[1])?.values[rowIndex ?? 0] }, keys[2]);
    }
    default:
      return undefined;
  }
}

function fieldNamed({ frame }: DataContextScopedVar['value'], key: string) {
  return (
    frame.fields.find((each) => each.name === key) ??
    frame.fields[Number(key)] ??
    frame.fields.find((each) => each.config.displayName === key)
  );
}

function textOf(value: { numeric: number; text: string; raw?: unknown }, part: string | undefined): string {
  switch (part) {
    case 'raw':
      return String(value.raw ?? value.numeric);
    case 'numeric':
      return String(value.numeric);
    default:
      return formattedValueToString(value);
  }
}

// `fields["a b"].text` has the keys fields, a b and text.
function steps(path: string): string[] {
  return [...path.matchAll(/\["([^"]*)"\]|\['([^']*)'\]|[^.[\]]+/g)].map((found) => found[1] ?? found[2] ?? found[0]);
}
