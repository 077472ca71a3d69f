// Drives the page of `kvae explore` in a headless browser, and prints what it saw.
//
//   node explore_page.mjs MODULES CHROMIUM URL FOLDER
//
// MODULES holds playwright-core; screenshots go into FOLDER.

import { createRequire } from "node:module";
import path from "node:path";

const [modules, chromium, url, folder] = process.argv.slice(2);
const playwright = createRequire(path.join(modules, "index.js"))("playwright-core");

const browser = await playwright.chromium.launch({
  executablePath: chromium,
  args: ["--no-sandbox"],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
const problems = [];
const elsewhere = [];
page.on("pageerror", (error) => problems.push(String(error)));
page.on("console", (message) => {
  // The runtime writes its log where errors go.
  const log = /^(INFO|WARNING): /.test(message.text());
  if (message.type() === "error" && !log) problems.push(message.text());
});
page.on("requestfailed", (request) => problems.push(`failed: ${request.url()}`));
page.on("request", (request) => {
  if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(url)) {
    elsewhere.push(request.url());
  }
});

// What the page shows once it has come to rest: numbers, pixels, layout.
async function look(name) {
  await page.waitForFunction(
    () => globalThis.kvae?.isBusy() === false || document.querySelector("#status.failed"),
    null,
    { timeout: 60000 },
  );
  await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
  return page.evaluate(() => {
    const pixels = (canvas) => {
      const { width, height } = canvas;
      const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
      return Array.from(data);
    };
    const state = globalThis.kvae?.state;
    const { x, found } = globalThis.kvae?.detection ?? {};
    return {
      status: document.getElementById("status").textContent,
      order: globalThis.kvae?.order ?? [],
      span: state?.span,
      z: Array.from(state?.z ?? []),
      latents: Array.from(state?.latents ?? []),
      means: (state?.means ?? []).map((mean) => Array.from(mean)),
      single: Array.from(state?.single ?? []),
      singlePixels: pixels(document.getElementById("single")),
      gridPixels: [...document.querySelectorAll("#grid canvas")].map(pixels),
      map: pixels(document.getElementById("map")).filter((_, i) => i % 4 === 1), // green
      x: Array.from(x ?? []),
      found: Object.fromEntries(
        Object.entries(found ?? {}).map(([key, values]) => [key, Array.from(values)]),
      ),
      verdict: document.getElementById("verdict").textContent,
      heatPixels: pixels(document.getElementById("heat")),
      scrollWidth: document.documentElement.scrollWidth,
      innerWidth: globalThis.innerWidth,
    };
  });
}

const setValue = (selector, value) =>
  page.locator(selector).evaluate((control, given) => {
    control.value = given;
    control.dispatchEvent(new Event("input", { bubbles: true }));
  }, String(value));

await page.goto(url);
const seen = { first: await look("first") };
if (!(await page.locator("#status.failed").count())) {
  await setValue("#seed", 11);
  await setValue("#temperature", 0.5);
  if (await page.locator("#condition-slot select").count()) {
    await page.locator("#condition-slot select").selectOption({ index: 1 });
  }
  seen.seeded = await look("seeded");
  await page.locator("#grid button").nth(3).click();
  seen.chosen = await look("chosen");
  await setValue("#sliders label:nth-child(1) input", 1.5);
  seen.slid = await look("slid");
  const box = await page.locator("#map").boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.75, box.y + box.height * 0.25, { steps: 5 });
  await page.mouse.up();
  seen.dragged = await look("dragged");
  if (await page.locator("#attributes label").count()) {
    await page.locator("#grid button").nth(3).click();
    await setValue("#attributes label:nth-child(2) input", 1.5);
    seen.attributed = await look("attributed");
  }
  if (await page.locator("#detection").isVisible()) {
    await page.locator("#example").selectOption("5");
    seen.example = await look("example");
    await page.locator("#picture-file").setInputFiles(path.join(folder, "picture.png"));
    await page.waitForFunction(() => document.getElementById("example").value === "");
    seen.file = await look("file");
    await page.locator("#picture").scrollIntoViewIfNeeded();
    const picture = await page.locator("#picture").boundingBox();
    await page.mouse.move(picture.x + picture.width * 0.9, picture.y + picture.height * 0.1);
    await page.mouse.down();
    await page.mouse.move(
      picture.x + picture.width * 0.9, picture.y + picture.height * 0.9, { steps: 20 },
    );
    await page.mouse.up();
    seen.painted = await look("painted");
    await page.locator("#picture-file").setInputFiles(path.join(folder, "text.png"));
    await page.waitForFunction(() =>
      document.getElementById("verdict").textContent.startsWith("text.png"),
    );
    seen.unreadable = await look("unreadable");
    await page.locator("#decoded").click();
    seen.decoded = await look("decoded");
  }
  await page.setViewportSize({ width: 360, height: 740 });
  seen.phone = await look("phone");
}
await browser.close();
console.log(JSON.stringify({ ...seen, problems, elsewhere }));
