// Prometheus' HTTP API, through the preview's server.
import type { Labels } from '@grafana/data';

export type Point = [seconds: number, value: string];

export interface Series {
  metric: Labels;
  points: Point[];
}

export interface Exemplar {
  labels: Labels;
  value: number;
  /** Milliseconds. */
  time: number;
}

export interface Alert {
  labels: Labels;
  annotations: Labels;
  state: string;
  activeAt: string;
}

/** `from` and `to` in Unix seconds. */
export interface Span {
  start: number;
  end: number;
}

type Result =
  | { resultType: 'matrix'; result: Array<{ metric: Labels; values: Point[] }> }
  | { resultType: 'vector'; result: Array<{ metric: Labels; value: Point }> }
  | { resultType: 'scalar'; result: Point };

/** Throws an Error with Prometheus' message. */
async function ask<T>(path: string, parameters: Record<string, string | number>, method = 'POST'): Promise<T> {
  const body = new URLSearchParams(Object.entries(parameters).map(([key, value]) => [key, String(value)]));
  const url = `/prometheus/api/v1/${path}`;
  const answer = await (method === 'POST' ? fetch(url, { method, body }) : fetch(`${url}?${body}`));
  const text = await answer.text();
  let parsed: { status?: string; error?: string; data?: T };
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error(`Prometheus answered ${answer.status}: ${text.slice(0, 200)}`);
  }
  if (parsed.status !== 'success') {
    throw new Error(parsed.error ?? `Prometheus answered ${answer.status}`);
  }
  return parsed.data as T;
}

export async function queryRange(query: string, span: Span, step: number): Promise<Series[]> {
  return seriesOf(await ask<Result>('query_range', { query, step, ...span }));
}

export async function queryInstant(query: string, time: number): Promise<Series[]> {
  return seriesOf(await ask<Result>('query', { query, time }));
}

function seriesOf(data: Result): Series[] {
  switch (data.resultType) {
    case 'matrix':
      return data.result.map(({ metric, values }) => ({ metric, points: values }));
    case 'vector':
      return data.result.map(({ metric, value }) => ({ metric, points: [value] }));
    case 'scalar':
      return [{ metric: {}, points: [data.result] }];
  }
}

export async function queryExemplars(query: string, span: Span): Promise<Exemplar[]> {
  type Found = Array<{ exemplars: Array<{ labels: Labels; value: string; timestamp: number }> }>;
  const found = await ask<Found>('query_exemplars', { query, ...span });
  return found.flatMap((series) =>
    series.exemplars.map((each) => ({
      labels: each.labels,
      value: Number(each.value),
      time: each.timestamp * 1000,
    })),
  );
}

export async function labelValues(label: string, selector: string | undefined, span: Span): Promise<string[]> {
  const parameters: Record<string, string | number> = selector ? { 'match[]': selector, ...span } : { ...span };
  return ask<string[]>(`label/${encodeURIComponent(label)}/values`, parameters, 'GET');
}

export async function alerts(): Promise<Alert[]> {
  return (await ask<{ alerts: Alert[] }>('alerts', {}, 'GET')).alerts;
}
