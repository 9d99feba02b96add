// Park a customer, and return once nothing to them is in progress; Node 18 or newer, no package:
//   LAYBY_URL=http://127.0.0.1:8000 LAYBY_TOKEN=layby_… node examples/http/move.mjs acme c-17
const { LAYBY_URL, LAYBY_TOKEN } = process.env;
const [account, customer] = process.argv.slice(2);

const command = {"id": `move-${customer}`, "account": account, "kind": "move_to_directory", "customers": [customer], "source": "shop", "reason": "paid"};

// The same id again is the same command, so whatever gets no answer is sent again.
async function send(attempts = 5) {
  try {
    const answer = await fetch(`${LAYBY_URL}/v1/commands?wait=quiet&timeout=30`, {
      method: "POST",
      headers: { "Authorization": `Bearer ${LAYBY_TOKEN}`, "Content-Type": "application/json" },
      body: JSON.stringify(command),
      signal: AbortSignal.timeout(40_000),
    });
    if (answer.status < 500 || attempts === 1) return answer;
  } catch (error) {
    if (attempts === 1) throw error;
  }
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  return send(attempts - 1);
}

const answer = await send();
const told = await answer.json();
console.log(JSON.stringify(told));
if (!answer.ok || told.quiet_at === null) process.exit(1);
