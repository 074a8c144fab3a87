import { Table } from '@grafana/ui';
import { fieldConfigOf } from '../registry';
import type { Properties } from './properties';

export function TablePanel({ panel, data, width, height }: Properties) {
  const options = panel.options ?? {};
  return (
    <Table
      data={data.frames[0]}
      width={width}
      height={height}
      noHeader={options.showHeader === false}
      cellHeight={options.cellHeight}
      initialSortBy={options.sortBy}
      enablePagination={options.footer?.enablePagination}
      showTypeIcons={options.showTypeIcons ?? false}
      timeRange={data.range}
      fieldConfig={fieldConfigOf(panel.type, panel.fieldConfig)}
      replaceVariables={data.replace}
      resizable
    />
  );
}
