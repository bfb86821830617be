"use strict";
// One AudioContext for the page. All tracks of a player are decoded first and their sources started at one moment of
// the context's clock, also when looping: they cannot drift apart.
const playerPage = { context: null, active: null, players: [] };

function setUpPlayer(player) {
  const $ = (selector, root = player) => root.querySelector(selector);
  const all = (selector, root = player) => [...root.querySelectorAll(selector)];
  const { duration, tracks } = JSON.parse($(".player-data").textContent);
  const lanes = all(".lane").map((element, index) => ({
    element, ...tracks[index], solo: false, mute: $(".mute", element).getAttribute("aria-pressed") === "true", volume: 1, truth: false,
  }));
  const part = { on: false, from: 0, to: duration };
  const LEAST = Math.min(0.05, duration);
  let ready, playing = false, position = 0, startedAt = 0, sources = [], chosen = lanes.length > 1 ? 1 : 0;

  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  const press = (button, on) => button.setAttribute("aria-pressed", String(on));
  const whole = () => part.from === 0 && part.to === duration;

  function now() {
    if (!playing) return position;
    const { context } = playerPage;
    const at = Math.max(position + context.currentTime - startedAt - (context.outputLatency || 0), position);
    if (part.on && at >= part.to) return part.from + ((at - part.from) % (part.to - part.from));
    return Math.min(at, duration);
  }

  function show() {
    const at = now();
    player.style.setProperty("--at", duration ? at / duration : 0);
    $(".clock b").textContent = clock(at);
    $(".seek").value = at;
    $(".seek").setAttribute("aria-valuetext", `${clock(at)} of ${clock(duration)}`);
  }

  function mix() {
    const anySolo = lanes.some((lane) => lane.solo);
    for (const [index, lane] of lanes.entries()) {
      const heard = anySolo ? lane.solo : !lane.mute;
      lane.element.classList.toggle("off", !heard);
      lane.element.classList.toggle("swapped", lane.truth);
      lane.element.classList.toggle("chosen", index === chosen);
      press($(".solo", lane.element), lane.solo);
      press($(".mute", lane.element), lane.mute);
      if (lane.truthId) press($(".versus", lane.element), lane.truth);
      for (const voice of lane.voices ?? []) {
        const on = heard && voice.truth === lane.truth;
        voice.gain.gain.setTargetAtTime(on ? lane.volume ** 2 : 0, playerPage.context.currentTime, 0.012);
      }
    }
  }

  async function decode(id) {
    const text = atob(document.getElementById(id).textContent.trim());
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    return playerPage.context.decodeAudioData(bytes.buffer);
  }

  async function prepare() {
    const context = (playerPage.context ??= new AudioContext({ sampleRate: 48000 })); // the rate Opus decodes to
    await Promise.all(lanes.map(async (lane) => {
      const takes = [[lane.estimateId, false], [lane.truthId, true]].filter(([id]) => id);
      lane.voices = await Promise.all(takes.map(async ([id, truth]) => {
        const gain = new GainNode(context, { gain: 0 });
        gain.connect(context.destination);
        return { gain, truth, buffer: await decode(id) };
      }));
    }));
  }

  function begin() {
    const { context } = playerPage;
    if (part.on && (position < part.from || position >= part.to)) position = part.from;
    const when = context.currentTime + 0.06;
    sources = lanes.flatMap((lane) => lane.voices).map((voice) => {
      const loop = part.on ? { loop: true, loopStart: part.from, loopEnd: part.to } : {};
      const source = new AudioBufferSourceNode(context, { buffer: voice.buffer, ...loop });
      source.connect(voice.gain);
      source.start(when, position);
      return source;
    });
    startedAt = when;
    playing = true;
  }

  function halt() {
    position = now();
    sources.forEach((source) => source.stop());
    sources = [];
    playing = false;
  }

  function again(change) { // what is scheduled cannot be changed, only scheduled anew
    const wasPlaying = playing;
    if (wasPlaying) halt();
    change();
    if (wasPlaying) begin();
    show();
  }

  async function toggle() {
    if (player.classList.contains("waiting")) return;
    if (playing) {
      halt();
    } else {
      for (const other of playerPage.players) other.pause();
      player.classList.add("waiting");
      try {
        await (ready ??= prepare());
        await playerPage.context.resume();
      } catch (error) {
        ready = null;
        const text = `This browser cannot play Ogg Opus (${error.message}); Safari can from 18.4 on.`;
        $(".hint.failed")?.remove();
        player.append(Object.assign(document.createElement("p"), { className: "hint failed", textContent: text }));
        return;
      } finally {
        player.classList.remove("waiting");
      }
      if (position >= duration - 0.02) position = 0;
      mix();
      begin();
      requestAnimationFrame(tick);
    }
    player.classList.toggle("playing", playing);
    $(".play").setAttribute("aria-label", playing ? "Pause" : "Play");
    show();
  }

  function tick() {
    if (!playing) return;
    if (!part.on && now() >= duration) toggle();
    show();
    if (playing) requestAnimationFrame(tick);
  }

  const seek = (seconds) => again(() => { position = Math.min(Math.max(seconds, 0), duration); });

  function loop(on, from = part.from, to = part.to) {
    const [low, high] = [Math.min(from, to), Math.max(from, to)].map((at) => Math.min(Math.max(at, 0), duration));
    again(() => Object.assign(part, high - low < LEAST ? { on, from: 0, to: duration } : { on, from: low, to: high }));
    player.style.setProperty("--from", part.from / duration);
    player.style.setProperty("--to", part.to / duration);
    player.classList.toggle("looping", on);
    player.classList.toggle("part", on && !whole());
    press($(".loop"), on);
  }

  function solo(lane, together) {
    const on = !lane.solo;
    if (!together) lanes.forEach((other) => (other.solo = false));
    lane.solo = on;
    mix();
  }

  function choose(index) { chosen = Math.min(Math.max(index, 0), lanes.length - 1); mix(); }
  function mute(lane) { lane.mute = !lane.mute; mix(); }
  function swap(lane) { if (lane.truthId) { lane.truth = !lane.truth; mix(); } }

  $(".play").addEventListener("click", toggle);
  $(".seek").addEventListener("input", (event) => seek(Number(event.target.value)));
  $(".loop").addEventListener("click", () => loop(!part.on));
  for (const button of all(".switch button")) {
    button.addEventListener("click", () => {
      player.dataset.view = button.value;
      all(".switch button").forEach((other) => press(other, other === button));
    });
  }
  for (const [index, lane] of lanes.entries()) {
    lane.element.addEventListener("pointerdown", () => choose(index));
    lane.element.addEventListener("focusin", () => choose(index));
    $(".solo", lane.element).addEventListener("click", (event) => solo(lane, event.shiftKey));
    $(".mute", lane.element).addEventListener("click", () => mute(lane));
    $(".volume", lane.element).addEventListener("input", (event) => {
      lane.volume = Number(event.target.value);
      event.target.style.setProperty("--value", `${100 * lane.volume}%`);
      mix();
    });
    $(".versus", lane.element)?.addEventListener("click", () => swap(lane));
    drag($(".strip", lane.element), (at) => seek(at), (at) => seek(at), () => {});
  }
  let anchor = 0;
  drag($(".ruler"), (at) => { anchor = at; }, (at) => preview(anchor, at), (at) => {
    if (Math.abs(at - anchor) < LEAST) { loop(false, 0, duration); seek(at); }
    else loop(true, anchor, at);
  });

  function preview(a, b) {
    player.classList.add("part");
    player.style.setProperty("--from", Math.max(Math.min(a, b), 0) / duration);
    player.style.setProperty("--to", Math.min(Math.max(a, b), duration) / duration);
  }

  function drag(area, start, move, end) {
    const at = (event) => {
      const box = area.getBoundingClientRect();
      return ((event.clientX - box.left) / box.width) * duration;
    };
    area.addEventListener("pointerdown", (event) => { area.setPointerCapture(event.pointerId); start(at(event)); });
    area.addEventListener("pointermove", (event) => { if (area.hasPointerCapture(event.pointerId)) move(at(event)); });
    area.addEventListener("pointerup", (event) => end(at(event)));
  }

  function key(event) {
    const digit = /^Digit([0-9])$/.exec(event.code)?.[1];
    const adjusts = event.target.type === "range";
    const within = player.contains(event.target);
    const lane = lanes[chosen];
    if (event.key === " " && event.target.tagName !== "BUTTON" && event.target.tagName !== "SUMMARY") toggle();
    else if (event.key === "ArrowLeft" && !adjusts) seek(now() - 5);
    else if (event.key === "ArrowRight" && !adjusts) seek(now() + 5);
    else if (event.key === "ArrowUp" && within && !adjusts) choose(chosen - 1);
    else if (event.key === "ArrowDown" && within && !adjusts) choose(chosen + 1);
    else if (event.key === "Home" && !adjusts) seek(0);
    else if (digit === "0") { lanes.forEach((other) => (other.solo = false)); mix(); }
    else if (digit && lanes[digit - 1]) solo(lanes[digit - 1], event.shiftKey);
    else if (event.key === "m") mute(lane);
    else if (event.key === "s") solo(lane, false);
    else if (event.key === "r") swap(lane);
    else if (event.key === "l") loop(!part.on);
    else if (event.key === "[") loop(true, now(), now() < part.to ? part.to : duration);
    else if (event.key === "]") loop(true, now() > part.from ? part.from : 0, now());
    else return;
    event.preventDefault();
  }

  const self = { key, pause: () => { if (playing) toggle(); } };
  const activate = () => { playerPage.active = self; };
  player.addEventListener("pointerdown", activate);
  player.addEventListener("focusin", activate);
  playerPage.players.push(self);
  loop(false);
  mix();
  show();
}

document.querySelectorAll(".player").forEach(setUpPlayer);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("select, textarea, th button")) return;
  (playerPage.active ?? playerPage.players[0])?.key(event);
});
