// The options and selected values of dashboard variables.
import type { TimeRange } from '@grafana/data';
import { ALL, PROMETHEUS, Value, interpolator } from './interpolate';
import type { Dashboard, Variable } from './model';
import { labelValues } from './prometheus';

export const DATA_SOURCE = 'Prometheus';

/** In the dashboard's order, because a variable may depend on previous ones. */
export async function resolve(
  dashboard: Dashboard,
  chosen: Record<string, string[]>,
  range: TimeRange,
): Promise<Value[]> {
  const values: Value[] = [];
  for (const variable of dashboard.templating?.list ?? []) {
    const options = await optionsOf(variable, values, range);
    const fallback = [variable.current?.value ?? (variable.includeAll ? ALL : (options[0] ?? ''))].flat();
    values.push({
      name: variable.name,
      options,
      allValue: variable.allValue || undefined,
      multi: Boolean(variable.multi || variable.includeAll),
      chosen: variable.type === 'constant' ? options : (chosen[variable.name] ?? fallback),
    });
  }
  return values;
}

async function optionsOf(variable: Variable, before: Value[], range: TimeRange): Promise<string[]> {
  const query = typeof variable.query === 'string' ? variable.query : (variable.query?.query ?? '');
  switch (variable.type) {
    case 'datasource':
      return [DATA_SOURCE];
    case 'query':
      return sorted(await ofQuery(interpolator(before, range)(query, {}, PROMETHEUS), range), variable.sort ?? 0);
    case 'interval':
    case 'custom':
      return query.split(',').map((each) => each.trim());
    default:
      return [query];
  }
}

async function ofQuery(query: string, range: TimeRange): Promise<string[]> {
  const found = /^label_values\((?:(.+),\s*)?([a-zA-Z_]\w*)\)\s*$/s.exec(query);
  if (!found) {
    throw new Error(`Only label_values(...) is supported, not ${query}`);
  }
  const span = { start: range.from.valueOf() / 1000, end: range.to.valueOf() / 1000 };
  return labelValues(found[2], found[1]?.trim(), span);
}

// Grafana's sort orders: odd numbers are ascending, even ones descending; 3 and 4 are numerical.
function sorted(values: string[], order: number): string[] {
  if (order === 0) {
    return values;
  }
  const ascending = [...values].sort((a, b) => a.localeCompare(b, undefined, { numeric: order === 3 || order === 4 }));
  return order % 2 === 1 ? ascending : ascending.reverse();
}
