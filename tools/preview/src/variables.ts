// The options and selected values of dashboard variables.
import { Labels, TimeRange, stringToJsRegex } from '@grafana/data';
import { ALL, PROMETHEUS, Value, interpolator } from './interpolate';
import type { Dashboard, Variable } from './model';
import { labelValues, queryInstant } from './prometheus';

export const DATA_SOURCE = 'Prometheus';

/** In the dashboard's order, because a variable may depend on previous ones. */
export async function resolve(
  dashboard: Dashboard,
  chosen: Record<string, string[]>,
  range: TimeRange,
): Promise<Value[]> {
  const values: Value[] = [];
  for (const variable of dashboard.templating?.list ?? []) {
    const found = await optionsOf(variable, values, range);
    const options = found.map(({ value }) => value);
    values.push({
      name: variable.name,
      options,
      texts: new Map(found.map(({ value, text }) => [value, text])),
      allValue: variable.allValue || undefined,
      multi: Boolean(variable.multi || variable.includeAll),
      chosen: variable.type === 'constant' ? options : (fromUrl(variable, chosen) ?? saved(variable, options)),
    });
  }
  return values;
}

// Grafana keeps any value of the URL, except All where a variable does not have it.
function fromUrl(variable: Variable, chosen: Record<string, string[]>): string[] | undefined {
  const values = chosen[variable.name];
  return values?.[0] === ALL && !variable.includeAll ? undefined : values;
}

// The saved value, or the first one if the saved value is not among them.
function saved(variable: Variable, options: string[]): string[] {
  const values = [variable.current?.value ?? (variable.includeAll ? ALL : [])].flat();
  const known = variable.type === 'query' ? values.filter((each) => each === ALL || options.includes(each)) : values;
  return known.length > 0 ? known : [options[0] ?? ''];
}

interface Option {
  value: string;
  text: string;
}

const named = (value: string): Option => ({ value, text: value });

async function optionsOf(variable: Variable, before: Value[], range: TimeRange): Promise<Option[]> {
  const query = typeof variable.query === 'string' ? variable.query : (variable.query?.query ?? '');
  switch (variable.type) {
    case 'datasource':
      return [named(DATA_SOURCE)];
    case 'query':
      return sorted(
        read(await ofQuery(interpolator(before, range)(query, {}, PROMETHEUS), range), variable.regex),
        variable.sort ?? 0,
      );
    case 'interval':
    case 'custom':
      return query.split(',').map((each) => named(each.trim()));
    default:
      return [named(query)];
  }
}

async function ofQuery(query: string, range: TimeRange): Promise<string[]> {
  const result = /^query_result\((.+)\)\s*$/s.exec(query);
  if (result) {
    const series = await queryInstant(result[1], range.to.valueOf() / 1000);
    return series.map(({ metric, points }) => `${resultText(metric)} ${points[0][1]} ${points[0][0] * 1000}`);
  }
  const found = /^label_values\((?:(.+),\s*)?([a-zA-Z_]\w*)\)\s*$/s.exec(query);
  if (!found) {
    throw new Error(`Only label_values(...) and query_result(...) are supported, not ${query}`);
  }
  const span = { start: range.from.valueOf() / 1000, end: range.to.valueOf() / 1000 };
  return labelValues(found[2], found[1]?.trim(), span);
}

function resultText({ __name__: name = '', ...labels }: Labels): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return `${name}{${pairs.join(',')}}`;
}

// As in Grafana: the groups `value` and `text`, or the first group; a result that does not match is no option.
function read(results: string[], regex: string | undefined): Option[] {
  if (!regex) {
    return results.map(named);
  }
  const pattern = stringToJsRegex(regex);
  const options = results.flatMap((result): Option[] => {
    const match = pattern.exec(result);
    const { value, text } = match?.groups ?? {};
    if (match && (value || text)) {
      return [{ value: value || text, text: text || value }];
    }
    return match ? [named(match[1] ?? result)] : [];
  });
  return [...new Map(options.map((each) => [each.value, each])).values()];
}

// Grafana's sort orders: odd numbers are ascending, even ones descending; 3 and 4 are numerical.
function sorted(values: Option[], order: number): Option[] {
  if (order === 0) {
    return values;
  }
  const numeric = order === 3 || order === 4;
  const ascending = [...values].sort((a, b) => a.text.localeCompare(b.text, undefined, { numeric }));
  return order % 2 === 1 ? ascending : ascending.reverse();
}
