// The layout of panels: in 24 columns as in Grafana, or in one column on a narrow screen.
import type { Panel } from './model';

const COLUMNS = 24;
const CELL = 30;
const GAP = 8;
const NARROW = 768;

export interface Place {
  panel: Panel;
  left: number;
  top: number;
  width: number;
  height: number;
}

export function isNarrow(): boolean {
  return document.documentElement.clientWidth < NARROW;
}

export function layOut(panels: Panel[], width: number, narrow: boolean): { places: Place[]; height: number } {
  return narrow ? column(panels, width) : grid(panels, width);
}

function grid(panels: Panel[], width: number): { places: Place[]; height: number } {
  const unit = (width + GAP) / COLUMNS;
  const places = panels.map((panel) => {
    const { x, y, w, h } = panel.gridPos;
    return { panel, left: x * unit, top: y * (CELL + GAP), width: w * unit - GAP, height: heightOf(h) };
  });
  return { places, height: Math.max(0, ...places.map(({ top, height }) => top + height)) };
}

function column(panels: Panel[], width: number): { places: Place[]; height: number } {
  let top = 0;
  const inOrder = [...panels].sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x);
  const places = inOrder.map((panel) => {
    const place = { panel, left: 0, top, width, height: heightOf(panel.gridPos.h) };
    top += place.height + GAP;
    return place;
  });
  return { places, height: top };
}

function heightOf(rows: number): number {
  return rows * (CELL + GAP) - GAP;
}
