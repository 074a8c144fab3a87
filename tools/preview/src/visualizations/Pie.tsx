// A pie chart. Grafana's libraries only have its legend.
import { DisplayValue, FieldDisplay, formattedValueToString } from '@grafana/data';
import { LegendDisplayMode } from '@grafana/schema';
import { VizLayout, VizLegend, VizLegendItem } from '@grafana/ui';
import { PieArcDatum, arc, pie } from 'd3-shape';
import type { Properties } from './properties';
import { valuesOf } from './values';

export function Pie(properties: Properties) {
  const { panel, width, height, theme } = properties;
  const options = panel.options ?? {};
  const legend = {
    showLegend: true,
    placement: 'right',
    displayMode: LegendDisplayMode.List,
    values: [],
    ...options.legend,
  };
  const values = valuesOf(properties).filter(
    ({ field, display }) => !field.custom?.hideFrom?.viz && display.numeric >= 0,
  );
  const total = values.reduce((sum, { display }) => sum + display.numeric, 0);
  return (
    <VizLayout
      width={width}
      height={height}
      legend={
        legend.showLegend ? (
          <VizLayout.Legend placement={legend.placement} width={legend.width}>
            <VizLegend
              items={values.map((value) => legendItem(value, total, legend.values))}
              placement={legend.placement}
              displayMode={legend.displayMode}
            />
          </VizLayout.Legend>
        ) : null
      }
    >
      {(chartWidth: number, chartHeight: number) => {
        const radius = Math.max(0, Math.min(chartWidth, chartHeight) / 2 - 6);
        const slice = arc<PieArcDatum<FieldDisplay>>()
          .innerRadius(options.pieType === 'donut' ? radius * 0.6 : 0)
          .outerRadius(radius);
        const slices = pie<FieldDisplay>()
          .value(({ display }) => display.numeric)
          .sortValues((a, b) => b - a)(values);
        return (
          <svg width={chartWidth} height={chartHeight}>
            <g transform={`translate(${chartWidth / 2} ${chartHeight / 2})`}>
              {slices.map((each, index) => (
                <path
                  key={index}
                  d={slice(each) ?? undefined}
                  fill={each.data.display.color}
                  stroke={theme.colors.background.primary}
                >
                  <title>{`${each.data.display.title}: ${formattedValueToString(each.data.display)}`}</title>
                </path>
              ))}
            </g>
          </svg>
        );
      }}
    </VizLayout>
  );
}

function legendItem({ display }: FieldDisplay, total: number, values: string[]): VizLegendItem {
  const share = total > 0 ? (100 * display.numeric) / total : 0;
  const shown: Record<string, DisplayValue> = {
    value: { ...display, title: 'Value' },
    percent: { numeric: share, text: share.toFixed(0), suffix: '%', title: 'Percent' },
  };
  return {
    label: display.title ?? '',
    color: display.color,
    yAxis: 1,
    getDisplayValues: () => values.map((key) => shown[key]).filter(Boolean),
  };
}
