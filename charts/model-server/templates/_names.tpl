{{/*
The name on every object. It leaves room for what KServe derives from it, each at most 63 long: the
label "isvc.<name>-predictor" and the host "<name>-predictor-<namespace>".
*/}}
{{- define "model-server.name" -}}
{{- $name := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) }}
{{- $name = default $name .Values.fullnameOverride | replace "." "-" }}
{{- $room := sub 52 (len .Release.Namespace) | min 48 | max 12 | int }}
{{- if gt (len $name) $room }}
{{- $name = printf "%s-%s" (trunc (sub $room 9 | int) $name | trimSuffix "-") (sha256sum $name | trunc 8) }}
{{- end }}
{{- $name }}
{{- end }}

{{/* The name of the Deployment and of its Service, which KServe makes and names in its own way. */}}
{{- define "model-server.workload" -}}
{{ include "model-server.name" . }}{{ eq .Values.mode "kserve" | ternary "-predictor" "" }}
{{- end }}

{{/* The port of that Service. */}}
{{- define "model-server.servicePort" -}}
{{ eq .Values.mode "kserve" | ternary 80 .Values.service.port }}
{{- end }}

{{- define "model-server.serviceAccountName" -}}
{{ default (.Values.serviceAccount.create | ternary (include "model-server.name" .) "default") .Values.serviceAccount.name }}
{{- end }}

{{- define "model-server.image" -}}
{{- with .Values.image }}
{{- .repository }}{{ empty .digest | ternary (printf ":%s" (default $.Chart.AppVersion .tag)) (printf "@%s" .digest) }}
{{- end }}
{{- end }}

{{/* How many pods there are at least. */}}
{{- define "model-server.guaranteedReplicas" -}}
{{ eq .Values.autoscaling.type "none" | ternary .Values.replicas .Values.autoscaling.minReplicas }}
{{- end }}
