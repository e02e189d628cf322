/** The page carries its own style: no font, script or picture is fetched. Dark follows the reader's system. */
export const STYLE = `
:root{--bg:#f6f7f5;--panel:#fff;--ink:#1c2321;--ink-2:#56615d;--ink-3:#6a7571;--line:#e2e6e2;--hover:#f0f3ef;--accent:#0f6b5c;
--ok:#1f7a49;--warn:#8f5b0c;--bad:#b53325;--run:#2b6cb0;--idle:#cfd6d1;--ok-soft:#e3f3e9;--warn-soft:#fbf0dc;--bad-soft:#fbe6e3;--run-soft:#e2edf8;--mute-soft:#edf0ed;
--font:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;--mono:ui-monospace,"SF Mono","JetBrains Mono","DejaVu Sans Mono",monospace;color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--bg:#111614;--panel:#181f1c;--ink:#e7ece9;--ink-2:#a4b0ab;--ink-3:#8a9691;--line:#27312d;--hover:#1e2723;--accent:#4fc3a8;
--ok:#56c288;--warn:#e0a94a;--bad:#ef7565;--run:#6fb1ee;--idle:#2f3a36;--ok-soft:#163022;--warn-soft:#352a14;--bad-soft:#3a1f1b;--run-soft:#162c40;--mute-soft:#222b28}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:14px/1.45 var(--font)}
code{font-family:var(--mono);font-size:12.5px;overflow-wrap:anywhere}
.page{max-width:1080px;margin:0 auto;padding:24px 24px 40px}
.top{display:flex;align-items:center;gap:10px;margin-bottom:16px;color:var(--ink-2)}.top b{color:var(--ink);font-size:15px;font-weight:650}.top time{margin-left:auto;font-variant-numeric:tabular-nums}
h1{font-size:20px;margin:0;font-weight:650;letter-spacing:-.01em}h2{font-size:13px;margin:0;padding:12px 16px 8px;font-weight:600;color:var(--ink-2)}
.panel{background:var(--panel);border:1px solid var(--line);border-radius:8px;margin-bottom:16px;overflow:hidden}
.hero{display:flex;gap:16px;align-items:center;padding:16px 20px}.hero p{margin:2px 0 0;color:var(--ink-2)}
.disc{width:44px;height:44px;border-radius:50%;display:grid;place-items:center;font-size:22px;font-weight:700;flex:none}
.ok{color:var(--ok)}.warn{color:var(--warn)}.bad{color:var(--bad)}.run{color:var(--run)}.mute{color:var(--ink-3)}
.disc.ok,.tag.ok{background:var(--ok-soft)}.disc.warn,.tag.warn{background:var(--warn-soft)}.disc.bad,.tag.bad{background:var(--bad-soft)}.disc.run,.tag.run{background:var(--run-soft)}.disc.mute,.tag.mute{background:var(--mute-soft)}
.tag{display:inline-flex;align-items:center;gap:5px;font-size:12.5px;font-weight:600;padding:1px 9px;border-radius:99px;white-space:nowrap}
.incident{display:grid;grid-template-columns:auto 1fr;gap:12px;padding:12px 16px;border-bottom:1px solid var(--line);align-items:start}.incident:last-child{border:0}
.incident p{margin:2px 0 0;color:var(--ink-2);white-space:pre-wrap;overflow-wrap:anywhere}.incident .hint{color:var(--ink-3)}
.figs{display:grid;grid-auto-flow:column;grid-auto-columns:1fr}.figs div{padding:12px 16px;border-right:1px solid var(--line)}.figs div:last-child{border:0}
.figs b{display:block;font-size:19px;font-weight:650;font-variant-numeric:tabular-nums;white-space:nowrap}.figs small,td small{color:var(--ink-3)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}
th{font-weight:500;color:var(--ink-3);font-size:12px;text-align:left;padding:8px 12px;border-bottom:1px solid var(--line);white-space:nowrap}
td{padding:9px 12px;border-bottom:1px solid var(--line);vertical-align:top}th:first-child,td:first-child{padding-left:16px}tr:last-child td{border:0}tbody tr:hover{background:var(--hover)}
td small{display:block;white-space:nowrap}.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
ol.strip{display:inline-flex;gap:2px;list-style:none;margin:2px 0 0;padding:0}ol.strip li{width:7px;height:20px;border-radius:2px;background:var(--idle);position:relative}
ol.strip li.ok{background:var(--ok)}ol.strip li.warn{background:linear-gradient(var(--panel) 0 25%,var(--warn) 25%)}ol.strip li.bad{background:linear-gradient(var(--panel) 0 50%,var(--bad) 50%)}ol.strip li.run{background:var(--run)}ol.strip li.mute{background:none;border:1.5px dashed var(--ink-3);opacity:.6}
ol.strip li.now{box-shadow:0 3px 0 -1px var(--panel),0 5px 0 -1px var(--ink-2)}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
details{border-top:1px solid var(--line)}details:first-of-type{border-top:0}summary{padding:10px 16px;cursor:pointer;color:var(--ink-2)}summary:hover{background:var(--hover)}summary:focus-visible{outline:2px solid var(--accent);outline-offset:-2px}
ul.plain{list-style:none;margin:0;padding:0 16px 12px}ul.plain li{padding:3px 0;color:var(--ink-2);overflow-wrap:anywhere}
footer{color:var(--ink-3);font-size:12.5px;margin-top:24px}
@media(max-width:760px){.page{padding:16px 12px 32px}.figs{grid-auto-flow:row;grid-template-columns:1fr 1fr}.figs div{border-bottom:1px solid var(--line)}.hide-s{display:none}.top time{font-size:12px}.incident{grid-template-columns:1fr;gap:4px}}
@media print{body{background:#fff}.panel{break-inside:avoid}details{display:block}}
`.replaceAll('\n', '')
