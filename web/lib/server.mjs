// Questions to our routes.
import { api } from "../../../scripts/api.js";

export const post = (path, body) =>
	api.fetchApi(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

/** A picture that is hidden until the user asks for it, as an address to be revoked; null when it is gone. */
export async function originalOf(path) {
	const answer = await post(path, { clear: true });
	return answer.ok ? URL.createObjectURL(await answer.blob()) : null;
}
