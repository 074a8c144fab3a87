import { renderTextPanelMarkdown, textUtil } from '@grafana/data';
import { RenderUserContentAsHTML } from '@grafana/ui';
import type { Properties } from './properties';

export function TextPanel({ panel, data, width, height }: Properties) {
  const text = data.replace(panel.options?.content ?? '', {}, 'text');
  const html = panel.options?.mode === 'html' ? textUtil.sanitize(text) : renderTextPanelMarkdown(text);
  return (
    <RenderUserContentAsHTML
      component="div"
      className="markdown-html"
      style={{ width, height, overflow: 'auto' }}
      content={html}
    />
  );
}
