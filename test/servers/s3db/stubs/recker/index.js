const absent = (name) => () => {
  throw new Error(`${name} of recker is not here`)
}
export const createClient = absent('createClient')
export const expandHTTP2Options = absent('expandHTTP2Options')
export const parseHttp2Error = absent('parseHttp2Error')
export const createHttp2MetricsHooks = absent('createHttp2MetricsHooks')
export const getGlobalHttp2Metrics = absent('getGlobalHttp2Metrics')
export const createRedDbClient = absent('createRedDbClient')
export class Http2Error extends Error {}
export const TemplateEngine = absent('TemplateEngine')
