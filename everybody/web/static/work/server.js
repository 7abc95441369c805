// stub
export const openServer = async () => null;
