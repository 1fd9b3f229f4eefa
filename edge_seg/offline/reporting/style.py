"""How the page looks, on screens light and dark and on paper."""

STYLE = """
:root { --ink: #1c2126; --soft: #5d6770; --line: #d9dee3; --track: #eef1f4; --page: #fff;
  --p50: #1f6fb4; --p95: #9cc3e6; --good: #2c7a45; --bad: #c0392b; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ebee; --soft: #9aa5ae; --line: #39424a;
  --track: #262d33; --page: #171b1f; --p50: #4fa0e0; --good: #4caf6e; --bad: #e0685c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem; }
h1 { margin: .2rem 0; font-size: 1.9rem; } .lead { color: var(--soft); margin: 0 0 1rem; }
h2 { margin: 2rem 0 .5rem; font-size: 1.25rem; border-bottom: 1px solid var(--line); }
h3 { margin: 1.2rem 0 .4rem; font-size: 1rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; }
.tile { border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem; }
.tile b { display: block; font-size: 1.35rem; font-weight: 600; }
.tile.bad b { color: var(--bad); } .tile span { display: block; }
.tile small { color: var(--soft); overflow-wrap: anywhere; }
.sample { display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem; margin: .5rem 0; }
figure { margin: 0; } figure img { width: 100%; border-radius: .3rem; display: block; }
figcaption, footer, .none { color: var(--soft); font-size: .85rem; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--ink); }
svg rect { stroke: var(--line); stroke-width: .6; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; font-size: .9rem; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: break-word; }
th { font-weight: 600; } .facts th { width: 12rem; color: var(--soft); font-weight: 400; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.digest { font: .8em ui-monospace, monospace; overflow-wrap: anywhere; }
.class { display: inline-block; margin: 0 1.1rem .3rem 0; }
.class i { display: inline-block; width: .9rem; height: .9rem; border-radius: .2rem;
  margin-right: .4rem; vertical-align: -.1rem; border: 1px solid var(--line); }
pre { overflow-x: auto; background: var(--track); padding: .8rem; border-radius: .4rem; }
summary { cursor: pointer; overflow-wrap: anywhere; } footer { margin: 2.5rem 0 1rem; }
@media print { main { max-width: none; } section { break-inside: avoid; } }
"""
