// node computed.mjs PROMETHEUS FROM TO VARIABLES FILE...: what each supported version of Grafana computes for the panels of
// dashboards, as JSON: by version, uid and panel. FROM and TO are Unix seconds, VARIABLES is JSON.
import * as esbuild from 'esbuild';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import './browserless.mjs';
import { VERSIONS } from './versions.mjs';

const [prometheus, from, to, variables, ...files] = process.argv.slice(2);

// The preview's server forwards this path. All versions get the same answers: Prometheus does not order its results.
const { fetch } = globalThis;
const answers = new Map();
globalThis.fetch = async (url, options) => {
  const asked = `${url} ${options?.body ?? ''}`;
  answers.set(asked, answers.get(asked) ?? fetch(url.replace(/^\/prometheus/, prometheus), options));
  return (await answers.get(asked)).clone();
};

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'computed-'));
process.on('exit', () => fs.rmSync(folder, { recursive: true }));

async function bundled(version) {
  const outfile = path.join(folder, `${version}.mjs`);
  await esbuild.build({
    entryPoints: [path.join(import.meta.dirname, 'src', 'computed.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    alias: { '@grafana/data': VERSIONS[version].data },
    define: { 'process.env.NODE_ENV': '"production"', global: 'globalThis' },
    logLevel: 'error',
  });
  return import(pathToFileURL(outfile));
}

const results = {};
for (const version of Object.keys(VERSIONS)) {
  const { computed } = await bundled(version);
  results[version] = {};
  for (const file of files) {
    const dashboard = JSON.parse(fs.readFileSync(file, 'utf8'));
    results[version][dashboard.uid] = await computed(dashboard, JSON.parse(variables), from * 1000, to * 1000);
  }
}
process.stdout.write(JSON.stringify(results));
