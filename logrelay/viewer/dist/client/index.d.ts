export { FilterError } from "./wishes.js";
export { HistoryError, type HistoryPage, type HistoryWish } from "./history.js";
export { LogStream, StreamEnded } from "./stream.js";
export type { SocketConstructor, SocketLike, Surroundings, Visibility } from "./surroundings.js";
export type { Credential, CredentialSource, DisconnectedNotice, Ending, Entry, FilterWish, NoticeEntry, Phase, RecordEntry, RelayNotice, StreamEvents, StreamOptions, StreamState, } from "./types.js";
export type * from "./wire.js";
