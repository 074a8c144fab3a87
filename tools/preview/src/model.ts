// The parts of a dashboard file that the preview uses; `npm run check` checks the whole file.
import type { DataLink, DataTransformerConfig, FieldConfigSource } from '@grafana/data';

export interface Dashboard {
  uid: string;
  title: string;
  description?: string;
  tags?: string[];
  timezone?: string;
  refresh?: string;
  time?: { from: string; to: string };
  links?: Link[];
  templating?: { list?: Variable[] };
  annotations?: { list?: Annotation[] };
  panels: Panel[];
}

export interface Link {
  title: string;
  type: string;
  url?: string | null;
  tooltip?: string;
  tags?: string[];
  includeVars?: boolean;
  keepTime?: boolean;
  asDropdown?: boolean;
  targetBlank?: boolean;
}

export interface Variable {
  name: string;
  type: string;
  label?: string;
  description?: string;
  query?: string | { query?: string };
  regex?: string;
  hide?: number;
  multi?: boolean;
  includeAll?: boolean;
  allValue?: string | null;
  sort?: number;
  current?: { value?: string | string[] };
  options?: Array<{ value: string | string[] }>;
}

export interface Annotation {
  name: string;
  enable?: boolean;
  expr?: string;
  iconColor?: string;
  titleFormat?: string;
  textFormat?: string;
  step?: string;
}

export interface Target {
  refId: string;
  expr?: string;
  legendFormat?: string;
  format?: string;
  instant?: boolean;
  range?: boolean;
  interval?: string;
  exemplar?: boolean;
  hide?: boolean;
}

// Options depend on the panel type; each panel's module defines them.
export type Options = Record<string, any>;

export interface Panel {
  id: number;
  type: string;
  title?: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  links?: Array<DataLink & Link>;
  targets?: Target[];
  options?: Options;
  fieldConfig?: FieldConfigSource;
  transformations?: DataTransformerConfig[];
  interval?: string;
  maxDataPoints?: number;
  transparent?: boolean;
}
