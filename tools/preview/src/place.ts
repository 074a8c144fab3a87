// The state in the URL: dashboard, variables and time range. There is no other persistent state.
import { useCallback, useEffect, useState } from 'react';

export interface Place {
  uid?: string;
  viewPanel?: number;
  theme: 'dark' | 'light';
  from?: string;
  to?: string;
  refresh?: string;
  variables: Record<string, string[]>;
}

export function parsePlace(url: URL): Place {
  const query = url.searchParams;
  const variables: Record<string, string[]> = {};
  for (const [key, value] of query) {
    if (key.startsWith('var-')) {
      (variables[key.slice(4)] ??= []).push(value);
    }
  }
  return {
    uid: query.get('dashboard') ?? /^\/d\/([^/]+)/.exec(url.pathname)?.[1],
    // Grafana 11 writes `panel-3`.
    viewPanel: Number(query.get('viewPanel')?.replace('panel-', '')) || undefined,
    theme: query.get('theme') === 'light' ? 'light' : 'dark',
    from: query.get('from') ?? undefined,
    to: query.get('to') ?? undefined,
    refresh: query.get('refresh') ?? undefined,
    variables,
  };
}

export function pathOf(place: Place): string {
  const query = new URLSearchParams();
  const { viewPanel, theme, from, to, refresh, variables } = place;
  for (const [key, value] of Object.entries({ viewPanel, from, to, refresh })) {
    if (value !== undefined) {
      query.set(key, String(value));
    }
  }
  if (theme === 'light') {
    query.set('theme', theme);
  }
  for (const [name, values] of Object.entries(variables)) {
    values.forEach((value) => query.append(`var-${name}`, value));
  }
  const text = query.toString();
  return `/d/${place.uid ?? ''}${text && `?${text}`}`;
}

export type Go = (change: Partial<Place>) => void;

/** The current location and navigation. Links to dashboards do not reload the page. */
export function usePlace(): [Place, Go] {
  const [place, setPlace] = useState(() => parsePlace(new URL(location.href)));
  useEffect(() => {
    const follow = () => setPlace(parsePlace(new URL(location.href)));
    const click = (event: MouseEvent) => {
      const anchor = (event.target as Element).closest('a');
      const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
      if (!anchor || !plain || anchor.target === '_blank' || !anchor.getAttribute('href')) {
        return;
      }
      const url = new URL(anchor.href);
      if (url.origin === location.origin && url.pathname.startsWith('/d/')) {
        event.preventDefault();
        setPlace((before) => {
          const next = { ...parsePlace(url), theme: before.theme };
          history.pushState(null, '', pathOf(next));
          return next;
        });
      }
    };
    window.addEventListener('popstate', follow);
    document.addEventListener('click', click, true);
    return () => {
      window.removeEventListener('popstate', follow);
      document.removeEventListener('click', click, true);
    };
  }, []);
  const go = useCallback((change: Partial<Place>) => {
    const next = { ...parsePlace(new URL(location.href)), ...change };
    history.pushState(null, '', pathOf(next));
    setPlace(next);
  }, []);
  return [place, go];
}
