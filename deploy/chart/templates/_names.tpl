{{- define "sealgate.serviceAccount" -}}
{{- .Values.webhook.serviceAccount.name | default .Values.webhook.name -}}
{{- end -}}

{{- define "sealgate.labels" -}}
app.kubernetes.io/name: sealgate
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* Labels and annotations of every object. */}}
{{- define "sealgate.metadata" -}}
labels:
  {{- include "sealgate.labels" . | nindent 2 }}
{{- with .Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Annotations of what carries the CA of the serving certificate. */}}
{{- define "sealgate.caAnnotations" -}}
{{- $annotations := deepCopy .Values.commonAnnotations -}}
{{- if .Values.certManager.enabled -}}
{{- $_ := set $annotations "cert-manager.io/inject-ca-from" (printf "%s/%s" .Release.Namespace .Values.webhook.name) -}}
{{- end -}}
{{- with $annotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* How the controller's Pods are known. Only this label: a Deployment of the sigstore policy controller has the same, so that it can be replaced in its place. */}}
{{- define "sealgate.selector" -}}
role: webhook
{{- end -}}

{{- define "sealgate.image" -}}
{{- $version := .Values.webhook.image.version | default .Chart.AppVersion -}}
{{- .Values.webhook.image.repository -}}{{- ternary "@" ":" (hasPrefix "sha256:" $version) -}}{{- $version -}}
{{- end -}}

{{/* Where the API server finds the path. */}}
{{- define "sealgate.service" -}}
name: {{ .Values.webhook.name }}
namespace: {{ .Release.Namespace }}
port: {{ .Values.webhook.service.port }}
{{- end -}}

{{- define "sealgate.replicas" -}}
{{- if .Values.webhook.autoscaling.enabled }}{{ .Values.webhook.autoscaling.minReplicas }}{{ else }}{{ .Values.webhook.replicaCount }}{{ end -}}
{{- end -}}
