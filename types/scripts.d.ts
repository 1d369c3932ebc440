// What the page serves at /scripts, of which web/ has no copy. The published types lack the rest.
declare module "*/scripts/app.js" {
  export const app: import("@comfyorg/comfyui-frontend-types").ComfyApp & {
    extensionManager: any;
  };
}
declare module "*/scripts/api.js" {
  export const api: import("@comfyorg/comfyui-frontend-types").ComfyApi;
}
