{{/* What selects the pods of a component, which never changes: (list $ "server"). */}}
{{- define "model-server.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/*
The labels of a component's objects: (list $ "server"). The chart's version is not among them: KServe
copies an InferenceService's labels to its pods, and a new chart alone must not restart those.
*/}}
{{- define "model-server.labels" -}}
{{ include "model-server.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
{{- end }}

{{/* The labels of its pods: (list $ "server" .Values.podLabels). */}}
{{- define "model-server.podLabels" -}}
{{ merge (include "model-server.labels" . | fromYaml) (last .) | toYaml }}
{{- end }}
