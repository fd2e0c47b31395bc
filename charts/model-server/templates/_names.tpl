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

{{/* The name of a component's objects: (list $ "server"). */}}
{{- define "model-server.componentName" -}}
{{ include "model-server.name" (index . 0) }}{{ eq (index . 1) "application" | ternary "-application" "" }}
{{- end }}

{{/* That of its Deployment and Service: KServe makes the server's and names them in its own way. */}}
{{- define "model-server.workload" -}}
{{- $kserve := and (eq (index . 0).Values.mode "kserve") (eq (index . 1) "server") }}
{{- include "model-server.componentName" . }}{{ $kserve | ternary "-predictor" "" }}
{{- end }}

{{/* Where the server is reached from its namespace; KServe's Service has port 80, as ours by default. */}}
{{- define "model-server.address" -}}
http{{ hasKey .Values.settings "sslCertfile" | ternary "s" "" }}://{{ include "model-server.workload" (list . "server") }}:{{ .Values.service.port }}
{{- end }}

{{- define "model-server.serviceAccountName" -}}
{{ default (.Values.serviceAccount.create | ternary (include "model-server.name" .) "default") .Values.serviceAccount.name }}
{{- end }}

{{/* The image of a component: (list $ .Values). */}}
{{- define "model-server.image" -}}
{{- $version := (index . 0).Chart.AppVersion }}
{{- with (index . 1).image }}
{{- .repository }}{{ empty .digest | ternary (printf ":%s" (default $version .tag)) (printf "@%s" .digest) }}
{{- end }}
{{- end }}
