import type { StoredObject } from '../fakes/cluster-store.ts'
import { FakeCluster } from '../fakes/cluster.ts'
import { answerParent } from './conversation.ts'

/** What the process of the fake API server can be told: to hold further objects. It answers how many lists and gets it was asked for. */
export type ApiServerQuestion = { readonly put: readonly object[] }
export type ApiServerAnswer = { readonly kubeconfig: string; readonly requests: number }

const cluster = await FakeCluster.start()

answerParent<ApiServerQuestion, ApiServerAnswer>(({ put }) => {
  for (const object of put) cluster.store.put(object as StoredObject)
  return { kubeconfig: cluster.kubeconfig(), requests: cluster.count('get') + cluster.count('list') }
})
