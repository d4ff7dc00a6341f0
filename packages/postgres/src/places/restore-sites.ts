import { basename } from "node:path";
import type { TablespaceDetail } from "../details.ts";
import type { Account } from "../files/account.ts";
import { BuildSite } from "./build-site.ts";
import type { RestorePlaces } from "./restore-places.ts";
import { versionFolder } from "./version-folder.ts";

/** A tablespace and where it is built. */
export interface TablespaceSite {
  readonly tablespace: TablespaceDetail;
  readonly site: BuildSite;
}

/** The directories that a restore makes: all are put in their places, or none is. */
export class Sites {
  readonly data: BuildSite;
  readonly tablespaces: readonly TablespaceSite[];

  private constructor(data: BuildSite, tablespaces: readonly TablespaceSite[]) {
    this.data = data;
    this.tablespaces = tablespaces;
  }

  /** @param forGood false for what is only an input of the copy, and never put in its place */
  static async open(
    places: RestorePlaces,
    account: Account,
    { forGood = true }: { readonly forGood?: boolean } = {},
  ): Promise<Sites> {
    const open = (place: string, own?: RegExp) =>
      BuildSite.open(place, account, { replaces: places.replaced.includes(place), own });
    const data = await open(places.dataDirectory);
    const tablespaces: TablespaceSite[] = [];
    const sites = new Sites(data, tablespaces);
    try {
      for (const { tablespace, place } of places.tablespaces) {
        const site = await open(place, versionFolder(places.major));
        tablespaces.push({ tablespace, site });
        if (forGood) await site.markUnfinished(basename(data.path), account);
      }
      return sites;
    } catch (cause) {
      await sites.discard();
      throw cause;
    }
  }

  /** The data directory last: without it nothing leads to the tablespaces. */
  async putInPlace(): Promise<void> {
    for (const { site } of this.tablespaces) await site.putInPlace();
    await this.data.putInPlace();
    for (const { site } of this.tablespaces) await site.settle();
    await this.data.settle();
  }

  async discard(): Promise<void> {
    await this.data.discard();
    for (const { site } of this.tablespaces) await site.discard();
  }
}
