export const absent = true
