// A map with a marker for each country, on the country outlines that Grafana serves. Other base maps load tiles from the
// internet, which the preview does not do.
import { DataFrame, FieldType, GrafanaTheme2, formattedValueToString, getFieldDisplayName } from '@grafana/data';
import { geoArea, geoCentroid, geoMercator, geoPath } from 'd3-geo';
import type { Feature, FeatureCollection, Geometry } from 'geojson';
import { iso31661Alpha2ToNumeric } from 'iso-3166';
import { feature } from 'topojson-client';
import type { GeometryCollection, Topology } from 'topojson-specification';
import countriesTopology from 'world-atlas/countries-50m.json';
import type { Options } from '../model';
import type { Properties } from './properties';

const OUTLINES = 'public/maps/';

const countries = collection(countriesTopology as unknown as Topology, 'countries');
const centres = new Map(countries.features.map((each) => [String(each.id), centre(each)]));

function collection(topology: Topology, name: string): FeatureCollection {
  return feature(topology, topology.objects[name] as GeometryCollection);
}

// Centre of the largest part, for example of the European part of France.
function centre(country: Feature): [number, number] {
  const { geometry } = country;
  if (geometry.type !== 'MultiPolygon') {
    return geoCentroid(country);
  }
  const parts = geometry.coordinates.map((coordinates): Geometry => ({ type: 'Polygon', coordinates }));
  return geoCentroid(parts.reduce((a, b) => (geoArea(b) > geoArea(a) ? b : a)));
}

export function WorldMap({ panel, data, width, height, theme }: Properties) {
  const { lat = 0, lon = 0, zoom = 1 } = panel.options?.view ?? {};
  // As in web maps: 256 pixels at zoom 0, doubled at each level, but at least the panel's width.
  const scale = Math.max(256 * 2 ** zoom, width) / (2 * Math.PI);
  const projection = geoMercator()
    .scale(scale)
    .center([lon, lat])
    .translate([width / 2, height / 2]);
  const path = geoPath(projection);
  const outlines = outlinesOf(panel.options?.basemap, theme);
  const markers = (panel.options?.layers ?? [])
    .filter((layer: Options) => layer.type === 'markers')
    .flatMap((layer: Options) => data.frames.flatMap((frame) => markersOf(frame, data.frames, layer)));
  return (
    <svg width={width} height={height} style={{ background: theme.isDark ? '#0e1621' : '#d4dadc' }}>
      {outlines ? (
        <path
          d={path(countries) ?? undefined}
          fill={outlines.colour}
          fillOpacity={outlines.opacity}
          stroke={outlines.colour}
          strokeOpacity={outlines.opacity}
          strokeWidth={0.5}
        />
      ) : (
        <text x={8} y={20} fill={theme.colors.warning.text}>
          The base map consists of tiles from the internet.
        </text>
      )}
      {markers.map((marker: Marker) => {
        const [x, y] = projection(marker.at) ?? [0, 0];
        return (
          <circle
            key={marker.title}
            cx={x}
            cy={y}
            r={marker.size}
            fill={marker.colour}
            fillOpacity={marker.opacity}
            stroke={marker.colour}
          >
            <title>{marker.title}</title>
          </circle>
        );
      })}
    </svg>
  );
}

/** Style of the country outlines; undefined for another base map. */
function outlinesOf(basemap: Options | undefined, theme: GrafanaTheme2) {
  if (basemap?.type !== 'geojson' || !String(basemap.config?.src ?? '').startsWith(OUTLINES)) {
    return undefined;
  }
  const { color, opacity = 0.4 } = basemap.config.style ?? {};
  return { colour: theme.visualization.getColorByName(color?.fixed ?? 'dark-green'), opacity };
}

interface Marker {
  at: [number, number];
  size: number;
  colour?: string;
  opacity: number;
  title: string;
}

function markersOf(frame: DataFrame, frames: DataFrame[], layer: Options): Marker[] {
  const places =
    frame.fields.find((field) => field.name === layer.location?.lookup) ??
    frame.fields.find((field) => field.type === FieldType.string);
  const style = layer.config?.style ?? {};
  const named = (name: string | undefined) =>
    frame.fields.find((field) => name && [field.name, getFieldDisplayName(field, frame, frames)].includes(name));
  const numbers = frame.fields.find((field) => field.type === FieldType.number);
  const [sized, coloured] = [named(style.size?.field), named(style.color?.field) ?? numbers];
  if (!places || !numbers) {
    return [];
  }
  const known: number[] = (sized?.values ?? []).filter((value) => Number.isFinite(value));
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const { min = 2, max = 15, fixed = 5 } = style.size ?? {};
  return places.values.flatMap((code: string, row): Marker[] => {
    const at = centres.get(iso31661Alpha2ToNumeric[code]);
    if (!at) {
      return [];
    }
    const part = high > low ? (sized?.values[row] - low) / (high - low) : 1;
    const display = (coloured ?? numbers).display?.(coloured?.values[row] ?? numbers.values[row]);
    return [
      {
        at,
        size: sized ? min + part * (max - min) : fixed,
        colour: display?.color,
        opacity: style.opacity ?? 0.4,
        title: `${code}: ${display ? formattedValueToString(display) : ''}`,
      },
    ];
  });
}
