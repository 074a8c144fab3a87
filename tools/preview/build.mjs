// Bundles the preview as static files in dist/.
import * as esbuild from 'esbuild';
import fs from 'node:fs';

// Grafana's table imports the default export of this package, which its ES module lacks.
const scrollbars = {
  name: 'scrollbars',
  setup(build) {
    build.onResolve({ filter: /^react-custom-scrollbars-2$/ }, (found) =>
      found.namespace === 'scrollbars' ? undefined : { path: found.path, namespace: 'scrollbars' },
    );
    build.onLoad({ filter: /.*/, namespace: 'scrollbars' }, (found) => ({
      contents: `export { Scrollbars as default, Scrollbars } from '${found.path}'`,
      loader: 'js',
      resolveDir: process.cwd(),
    }));
  },
};

// No panel needs the code editor, which would be most of the bundle.
const noEditor = {
  name: 'no-editor',
  setup(build) {
    build.onResolve({ filter: /^(monaco-editor|@monaco-editor\/react)(\/|$)/ }, (found) => ({
      path: found.path,
      namespace: 'no-editor',
    }));
    build.onLoad({ filter: /.*/, namespace: 'no-editor' }, () => ({ contents: 'module.exports = {}', loader: 'js' }));
  },
};

fs.rmSync('dist', { recursive: true, force: true });
await esbuild.build({
  entryPoints: ['src/main.tsx'],
  outdir: 'dist',
  bundle: true,
  minify: true,
  format: 'iife',
  jsx: 'automatic',
  legalComments: 'linked',
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  loader: { '.svg': 'dataurl', '.woff': 'dataurl', '.woff2': 'dataurl', '.ttf': 'dataurl', '.png': 'dataurl' },
  plugins: [scrollbars, noEditor],
  logLevel: 'warning',
});
fs.cpSync('node_modules/@grafana/ui/dist/public', 'dist/public', { recursive: true });
fs.copyFileSync('src/index.html', 'dist/index.html');
