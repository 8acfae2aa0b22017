/** Which deployments of each service have been seen, to say where a new one begins. Pure, and bounded. */

const KEPT = 50; // deployments of one service that are remembered; older ones write no more

export class Deployments {
  private readonly seen = new Map<string, Set<string>>();

  /** Whether a record is the first of a deployment of a service that was seen before with another one. */
  begins(serviceId: string | null, deploymentId: string | null): boolean {
    if (!serviceId || !deploymentId) return false;
    const known = this.seen.get(serviceId);
    if (!known) {
      this.seen.set(serviceId, new Set([deploymentId]));
      return false;
    }
    if (known.has(deploymentId)) return false;
    known.add(deploymentId);
    if (known.size > KEPT) known.delete(known.values().next().value!);
    return true;
  }

  clear(): void {
    this.seen.clear();
  }
}
